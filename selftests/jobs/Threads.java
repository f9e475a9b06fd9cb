// SPDX-License-Identifier: GPL-2.0
/* A small program with several threads: a pool, locks, timers, garbage. */
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicLong;

public class Threads {
	static long work(long n)
	{
		Map<Long, String> map = new HashMap<>();
		long x = n;

		for (int i = 0; i < 20000; i++) {
			x = x * 1103515245L + 12345 & 0x7fffffffL;
			map.put(x % 1000, Long.toString(x));
		}
		for (String s : map.values())
			x += s.hashCode();
		return x;
	}

	public static void main(String[] args) throws Exception
	{
		String value = System.getenv("JOB_REPEAT");
		int repeat = value == null ? 1 : Integer.parseInt(value);
		ExecutorService pool = Executors.newFixedThreadPool(4);
		ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
		AtomicLong ticks = new AtomicLong();
		long total = 0;

		timer.scheduleAtFixedRate(ticks::incrementAndGet, 10, 10, TimeUnit.MILLISECONDS);
		for (int r = 0; r < repeat; r++) {
			List<Future<Long>> results = new ArrayList<>();

			total = 0;
			for (long n = 0; n < 400; n++) {
				long arg = n;

				results.add(pool.submit(() -> work(arg)));
			}
			for (Future<Long> result : results)
				total += result.get();
		}
		timer.shutdownNow();
		pool.shutdown();
		if (ticks.get() == 0)
			throw new Exception("the timer does not tick");
		System.out.println(total);
	}
}
