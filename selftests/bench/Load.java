// SPDX-License-Identifier: GPL-2.0
/* What loads.py measures: threads that change one entry after the other of a map. */
import java.io.RandomAccessFile;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

public class Load {
	static final int ENTRIES = 100000, SIZE = 500, THREADS = 2;

	public static void main(String[] args) throws Exception
	{
		ConcurrentHashMap<Integer, byte[]> map = new ConcurrentHashMap<>();
		AtomicLong done = new AtomicLong();

		for (int i = 0; i < ENTRIES; i++)
			map.put(i, new byte[SIZE]);
		for (int t = 0; t < THREADS; t++) {
			Thread thread = new Thread(() -> {
				ThreadLocalRandom random = ThreadLocalRandom.current();

				while (true) {
					byte[] value = new byte[SIZE];

					for (int i = 0; i < SIZE; i++)
						value[i] = (byte)(i * i ^ done.get());
					map.put(random.nextInt(ENTRIES), value);
					done.incrementAndGet();
				}
			});
			thread.setDaemon(true);
			thread.start();
		}
		try (RandomAccessFile file = new RandomAccessFile("work", "rw")) {
			while (true) {
				file.seek(0);
				file.writeBytes(String.format("%20d", done.get()));
				Thread.sleep(20);
			}
		}
	}
}
