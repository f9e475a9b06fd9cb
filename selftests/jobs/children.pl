#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# Threads with a queue, and children that are talked to through pipes.
use strict;
use warnings;
use threads;
use Thread::Queue;
use IPC::Open2;

my $repeat = $ENV{JOB_REPEAT} // 1;
my $total = 0;

sub work {
	my $x = shift;
	$x = ($x * 1103515245 + 12345) & 0x7fffffff for 1 .. 1000;
	return $x;
}

# One that answers a line with a line
sub child {
	my $pid = open2(my $out, my $in, $^X, '-e',
		'$| = 1; while (<STDIN>) { my $x = $_; $x = ($x * 69069 + 1) & 0x7fffffff for 1 .. 1000; print "$x\n"; }');
	return { pid => $pid, in => $in, out => $out };
}

my ($todo, $done) = (Thread::Queue->new, Thread::Queue->new);
my @threads = map {
	threads->create(sub {
		while (defined(my $n = $todo->dequeue)) {
			$done->enqueue(work($n));
		}
	})
} 1 .. 3;
my @children = map { child() } 1 .. 3;

for my $pass (1 .. $repeat) {
	$total = 0;
	for my $n (1 .. 500) {
		$todo->enqueue($_) for 3 * $n .. 3 * $n + 2;
		print { $_->{in} } "$n\n" for @children;
		$total += readline($_->{out}) for @children;
		$total += $done->dequeue for 1 .. 3;
		# Children that end at once, too
		$n % 50 or system('true') == 0 or die;
	}
}
$todo->end;
$_->join for @threads;
for my $child (@children) {
	close $child->{in};
	waitpid $child->{pid}, 0;
	die "a child ended with $?" if $?;
}
print "$total\n";
