#!/usr/bin/ruby
# SPDX-License-Identifier: GPL-2.0
#
# Threads with a queue, and children that send through pipes what they have found.

REPEAT = (ENV["JOB_REPEAT"] || 1).to_i

def work(x)
  4000.times { x = x * 1103515245 + 12345 & 0x7fffffff }
  x
end

todo, done = Queue.new, Queue.new
threads = 3.times.map do
  Thread.new do
    while (n = todo.pop)
      done << work(n)
    end
  end
end
timer = Thread.new { loop { sleep 0.01 } }

total = 0
REPEAT.times do
  total = 0
  2.times do |round|
    children = 3.times.map do |c|
      r, w = IO.pipe
      pid = fork do
        r.close
        200.times { |n| w.puts work(n + 1000 * c + round) }
        w.close
        exit! 0
      end
      w.close
      [pid, r]
    end
    200.times { |n| todo << n }
    200.times { total += done.pop }
    children.each do |pid, r|
      r.each_line { |line| total += line.to_i }
      Process.wait pid
      abort "a child ended with #{$?}" unless $?.success?
    end
  end
end
todo.close
threads.each(&:join)
timer.kill
puts total
