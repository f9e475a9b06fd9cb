#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Real programs under load, checkpointed at random moments, killed and restarted.

usage: jobs.py [-r ROUNDS] [-s SEED] [-l CHECKPOINTS] [-k] [JOB...]

Each job, a tree of processes, first runs undisturbed. Then it runs again, and at random
moments it is checkpointed, killed and restarted, ROUNDS times, some of them in one run
and every other one from increments; in the end its results have to be the same. With -l each job is checkpointed so many
times instead, without a restart, and then killed; afterwards the kernel may not have
kept anything. With -k what the jobs leave is kept.

$CKPT_JOB_ROUNDS and $CKPT_JOB_SEED are other defaults of ROUNDS, 2, and SEED, the time.
"""
import argparse
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = os.path.join(HERE, "jobs")
SLOWNESS = int(os.environ.get("CKPT_TEST_SLOWNESS", "1"))
PATIENCE = 180 * SLOWNESS	# seconds for anything that has to come to an end
RESTARTS_IN_A_RUN = 5
PR_SET_CHILD_SUBREAPER = 36

libc = ctypes.CDLL(None, use_errno=True)


def note(text):
    for line in text.strip().splitlines():
        print("# " + line, flush=True)


def be_subreaper():
    """Whoever loses his parent stays in the tree."""
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def wait_for(what, condition, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Failure(Exception):
    """Something that should not have happened."""


class Refusal(Exception):
    """The kernel does not want to checkpoint it."""


class Job:
    """A tree of processes that does some work, in a directory of its own."""
    command = []
    environment = {}
    user = None
    # What the kernel may say no to, as it says it
    refused = None
    endless = False

    def __init__(self, directory, repeat=1):
        self.directory = directory
        self.repeat = repeat
        self.pid = None
        self.status = None
        os.makedirs(directory)
        os.chmod(directory, 0o755)
        self.prepare()

    def path(self, name):
        return os.path.join(self.directory, name)

    def prepare(self):
        """What is there before it begins"""

    def ready(self):
        """Has it begun, so that it can be checkpointed?"""
        return True

    def before(self):
        """Look at it before a checkpoint"""

    def after(self):
        """It has been restarted: is it there, as it was?"""

    def end(self):
        """Let one that runs until it is told to come to its end"""

    def results(self):
        """What has to be the same in each run"""
        with open(self.path("output"), encoding="utf-8") as file:
            return file.read()

    def errors(self):
        with open(self.path("errors"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def start(self):
        environment = dict(os.environ, JOB_REPEAT=str(self.repeat), TMPDIR=self.directory,
                           LC_ALL="C.UTF-8", **self.environment)
        with open(self.path("output"), "wb") as out, open(self.path("errors"), "wb") as err:
            self.pid = subprocess.Popen(
                self.command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, env=environment, start_new_session=True, user=self.user,
                group=self.user, extra_groups=[] if self.user else None,
                preexec_fn=be_subreaper).pid
        wait_for("it begins", lambda: self.ended() or self.ready())

    def states(self):
        """What its threads are doing, for when it does not end"""
        for pid in self.processes():
            for thread in os.listdir(f"/proc/{pid}/task"):
                about = []
                for name in "comm", "wchan", "syscall", "stack":
                    try:
                        with open(f"/proc/{pid}/task/{thread}/{name}", encoding="ascii") as file:
                            about.append(file.read().strip())
                    except OSError as error:
                        about.append(str(error))
                yield f"{pid}/{thread}: " + " ".join(about)

    def ended(self):
        """Reap what is to be reaped; has it ended?"""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def processes(self):
        """All in the tree"""
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                        todo += [int(child) for child in file.read().split()]
            except OSError:
                pass
        return found

    def save(self, image, *options):
        """False if it has ended before"""
        result = subprocess.run(["ckpt", "save", *options, str(self.pid), image], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if result.returncode == 0:
            return True
        if self.ended():
            return False
        raise Refusal(result.stdout)

    def kill(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def gone(self, pids):
        self.ended()
        return not any(os.path.exists(f"/proc/{pid}") for pid in pids)

    def checkpoint_and_restart(self, directory, pauses):
        """False if it has ended before. The last image is an increment of those that were
        taken before, with so long pauses after each."""
        image = os.path.join(directory, "image")
        incremental = ["--incremental"] if pauses else []
        for pause in pauses:
            if not self.save(image, *incremental):
                return False
            time.sleep(pause)
        self.before()
        pids = self.processes()
        if not self.save(image, "--kill", *incremental):
            return False
        wait_for("all are gone", lambda: self.gone(pids))
        if self.status != -signal.SIGKILL:
            raise Failure(f"killed, it ended with status {self.status}")
        self.status = None
        result = subprocess.run(["ckpt", "restart", "--detach", image], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, check=False)
        if result.returncode:
            raise Failure("restart: " + result.stderr)
        self.after()
        return True

    def finish(self):
        """Its results"""
        self.end()
        try:
            wait_for("its end", self.ended)
        except Failure as failure:
            raise Failure("\n".join([str(failure), *self.states()])) from None
        if self.status:
            raise Failure(f"it ended with status {self.status}")
        return self.results()


class Pipeline(Job):
    command = [os.path.join(JOBS, "pipeline.sh")]


class Pool(Job):
    command = [os.path.join(JOBS, "pool.py")]


class Perl(Job):
    command = [os.path.join(JOBS, "children.pl")]


class Ruby(Job):
    command = [os.path.join(JOBS, "children.rb")]


class Sqlite(Job):
    command = [os.path.join(JOBS, "sqlite.sh")]

    def results(self):
        results = super().results()
        if not results.startswith("ok\n"):
            raise Failure("integrity_check: " + results)
        return results


class Redis(Job):
    command = [os.path.join(JOBS, "redis.sh")]


class Java(Job):
    runner = os.path.join(JOBS, "java.sh")
    classes = None

    def prepare(self):
        if not Java.classes:
            Java.classes = os.path.join(os.path.dirname(self.directory), "classes")
            subprocess.run([self.runner, "java", "-m",
                            "jdk.compiler/com.sun.tools.javac.Main", "-d",
                            Java.classes, os.path.join(JOBS, "Threads.java")], check=True)
        self.command = [self.runner, "java", "-Xmx128m", "-cp", Java.classes, "Threads"]


class Postgres(Job):
    command = [os.path.join(JOBS, "postgres.sh")]
    user = "postgres"
    database = None

    def prepare(self):
        shutil.chown(self.directory, self.user, self.user)
        if not Postgres.database:
            Postgres.database = os.path.join(os.path.dirname(self.directory), "database")
            os.mkdir(Postgres.database, 0o755)
            shutil.chown(Postgres.database, self.user, self.user)
            subprocess.run(self.command + ["init"], check=True, cwd=Postgres.database,
                           user=self.user, group=self.user, extra_groups=[])
        subprocess.run(["cp", "-a", os.path.join(Postgres.database, "data"),
                        self.directory], check=True)

    def results(self):
        results = super().results()
        if not results.startswith("t|t|t|"):
            raise Failure("the balances: " + results)
        return results


class Tmux(Job):
    command = [os.path.join(JOBS, "terminal.py")]
    ticks = 100

    def __init__(self, directory, repeat=1):
        super().__init__(directory, repeat)
        self.typed = 0
        self.screen = None

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.path("socket"), *words], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False).stdout

    def capture(self):
        return self.tmux("capture-pane", "-p", "-S", "-").rstrip()

    def type(self, line):
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def command_works(self):
        """Type one, see what it has to say."""
        self.typed += 1
        self.type(f"echo word-$(({self.typed} * 7))-${{#PS1}}")
        answer = f"word-{self.typed * 7}-2"
        wait_for("an answer", lambda: answer in self.capture().splitlines(), 60 * SLOWNESS)

    def ready(self):
        return os.path.exists(self.path("socket")) and self.capture().endswith(">")

    def start(self):
        super().start()
        self.type(f"for i in $(seq {self.ticks * self.repeat}); do echo tick $i; sleep 0.1; "
                  "done > ticks &")
        self.command_works()

    def before(self):
        self.screen = self.capture()
        # It has seen to the one who asked.
        time.sleep(0.1)

    def after(self):
        screen = self.capture()
        if screen != self.screen:
            raise Failure(f"the screen was\n{self.screen}\nand is\n{screen}")
        self.command_works()

    def end(self):
        self.command_works()
        self.type("jobs; wait; echo all-$((1 + 1)); exit")


class Nginx(Job):
    endless = True
    address = "unix:socket"

    def prepare(self):
        self.command = [os.path.join(JOBS, "nginx.sh"), self.listen()]

    def listen(self):
        return f"unix:{self.path('socket')}"

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.path("socket"))
        return sock

    def page(self):
        with self.connect() as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = sock.makefile("rb").read()
        if not answer.startswith(b"HTTP/1.1 200") or b"this is a page" not in answer:
            raise Failure(f"it answers {answer}")

    def workers(self):
        found = []
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().startswith(b"nginx: worker"):
                        found.append(pid)
            except OSError:
                pass
        return sorted(found)

    def ready(self):
        try:
            return len(self.workers()) == 4 and self.page() is None
        except OSError:
            return False

    def before(self):
        self.was = self.workers()

    def after(self):
        for _ in range(20):
            self.page()
        if self.workers() != self.was:
            raise Failure(f"the workers were {self.was} and are {self.workers()}")

    def end(self):
        self.page()
        with open(self.path("stop"), "wb"):
            pass

    def results(self):
        return self.errors()


class NginxTcp(Nginx):
    """The same on a TCP socket"""
    port = 8080
    refused = "socket"

    def listen(self):
        return f"127.0.0.1:{self.port}"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))


ALL = {
    "pipeline": Pipeline,
    "python3-pool": Pool,
    "perl": Perl,
    "sqlite3": Sqlite,
    "redis": Redis,
    "openjdk": Java,
    "ruby": Ruby,
    "postgresql": Postgres,
    "tmux-bash": Tmux,
    "nginx": Nginx,
    "nginx-tcp": NginxTcp,
}


# Freed addresses of vmalloc(), and what debugging knows of other objects
KEPT_FOR_LATER = {"vmap_area", "debug_objects_cache", "kmemleak_object"}


class KernelUse:
    """What the kernel has of slabs, vmalloc(), open files and processes, and has said"""

    def __init__(self):
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        # All objects of the slabs that a CPU has at hand count as used.
        for cache in os.scandir("/sys/kernel/slab"):
            if not cache.is_symlink():
                with open(os.path.join(cache.path, "shrink"), "w", encoding="ascii") as file:
                    file.write("1")
        self.counts = {}
        with open("/proc/slabinfo", encoding="ascii") as file:
            for line in file.readlines()[2:]:
                words = line.split()
                if words[0] not in KEPT_FOR_LATER:
                    self.counts["objects of slab " + words[0]] = int(words[1])
        with open("/proc/meminfo", encoding="ascii") as file:
            self.counts["pages of vmalloc()"] = int(
                re.search(r"VmallocUsed: *(\d+)", file.read())[1]) // 4
        with open("/proc/sys/fs/file-nr", encoding="ascii") as file:
            self.counts["open files"] = int(file.read().split()[0])
        self.processes = self.user_processes()
        self.log = subprocess.run(
            ["dmesg", "--level", "emerg,alert,crit,err,warn"], text=True,
            stdout=subprocess.PIPE, check=True).stdout.splitlines()

    @staticmethod
    def user_processes():
        """Those that have a program"""
        found = 0
        for entry in os.listdir("/proc"):
            try:
                found += entry.isdigit() and bool(os.readlink(f"/proc/{entry}/exe"))
            except OSError:
                pass
        return found

    def grown_since(self, before, times):
        """What is more than it was, as if something were left each time"""
        found = [f"{more} {name}" for name, count in self.counts.items()
                 if (more := count - before.counts.get(name, 0)) >= times]
        if self.processes > before.processes:
            found.append(f"{self.processes - before.processes} processes")
        # What the kernel says of a busy machine under an emulator
        return found + [line for line in self.log[len(before.log):]
                        if "hrtimer: interrupt took" not in line]


class Tests:
    def __init__(self, work, args):
        self.work = work
        self.args = args
        self.number = 0
        self.failed = 0
        self.directories = 0

    def directory(self):
        self.directories += 1
        return os.path.join(self.work, f"run.{self.directories}")

    def result(self, good, promise, why=""):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} {promise}", flush=True)
        note(why)

    def rounds(self, name):
        """Runs with restarts, until there were enough of them"""
        kind = ALL[name]
        chance = random.Random(f"{self.args.seed} {name}")
        done, began = 0, time.monotonic()
        images = os.path.join(self.work, "images")
        job = kind(self.directory())
        job.start()
        started = time.monotonic()
        if job.endless:
            time.sleep(3)
        reference = job.finish()
        length = time.monotonic() - started
        note(f"{name}: {length:.1f} s undisturbed")
        idle = 0
        while done < self.args.rounds:
            some = min(self.args.rounds - done, RESTARTS_IN_A_RUN)
            # At the mean, the last is where nine tenths of the work are done.
            started = time.monotonic()
            job = kind(self.directory())
            before = done
            try:
                job.start()
                for _ in range(some):
                    time.sleep(chance.uniform(0, 1.8 * length / (some + 1)))
                    # Every other time from an increment
                    pauses = [chance.uniform(0, 0.5) for _ in range(chance.choice([0, 0, 1, 3]))]
                    shutil.rmtree(images, ignore_errors=True)
                    os.mkdir(images)
                    if job.ended() or not job.checkpoint_and_restart(images, pauses):
                        break
                    done += 1
                results = job.finish()
            except Refusal as refusal:
                if job.finish() != reference:
                    raise Failure(f"harmed by a checkpoint refused: {refusal}") from None
                raise
            except Failure as failure:
                raise Failure(f"{failure}\nafter {done} good rounds\n{job.errors()}") from None
            finally:
                job.kill()
                wait_for("all are gone", lambda: job.gone([job.pid]))
            if results != reference:
                raise Failure(f"after restarts {before + 1} to {done}, not\n{reference}\n"
                              f"but\n{results}\n{job.errors()}")
            note(f"{name}: {done - before} in {time.monotonic() - started:.1f} s")
            if not self.args.keep:
                shutil.rmtree(job.directory)
            idle = idle + 1 if done == before else 0
            if idle == 10:
                raise Failure("it always ends too early")
        note(f"{name}: {done} checkpoints and restarts, {time.monotonic() - began:.0f} s")

    def checkpoints(self, name, count, reference=None):
        """Runs with so many checkpoints; their results"""
        chance = random.Random(f"{self.args.seed} {name}")
        image = os.path.join(self.work, "image")
        done = 0
        while done < count:
            job = ALL[name](self.directory())
            try:
                job.start()
                while done < count and not job.ended() and job.save(image):
                    done += 1
                    time.sleep(chance.uniform(0, 0.05))
                results = job.finish()
            except Failure as failure:
                raise Failure(f"{failure}\n{job.errors()}") from None
            finally:
                job.kill()
                wait_for("all are gone", lambda: job.gone([job.pid]))
            if reference and results != reference:
                raise Failure(f"after checkpoint {done}, not\n{reference}\nbut\n{results}")
            shutil.rmtree(job.directory)
        os.unlink(image)
        return results

    def leaks(self, name):
        """Many checkpoints; nothing may be left of them"""
        reference = self.checkpoints(name, 3)
        before, began = KernelUse(), time.monotonic()
        self.checkpoints(name, self.args.leaks, reference)
        note(f"{name}: {self.args.leaks} checkpoints, {time.monotonic() - began:.0f} s")
        # Memory is given back some time later, after RCU grace periods.
        for _ in range(30):
            grown = KernelUse().grown_since(before, self.args.leaks)
            if not grown:
                return
            time.sleep(1)
        raise Failure("left by the kernel: " + "\n".join(grown))

    def test(self, name, what):
        refused = ALL[name].refused
        try:
            what(name)
        except Refusal as refusal:
            good = refused is not None and refused in str(refusal)
            self.result(good, f"{name} is refused, as it has to be" if good else name,
                        "refused: " + str(refusal))
        except Failure as failure:
            self.result(False, name, str(failure))
        else:
            self.result(True, f"{name} leaves nothing behind" if self.args.leaks else
                        f"{name} goes on as if nothing had been")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-r", "--rounds", type=int,
                        default=int(os.environ.get("CKPT_JOB_ROUNDS", "2")))
    parser.add_argument("-s", "--seed", type=int,
                        default=int(os.environ.get("CKPT_JOB_SEED", time.time())))
    parser.add_argument("-l", "--leaks", type=int, default=0)
    parser.add_argument("-k", "--keep", action="store_true")
    parser.add_argument("jobs", nargs="*")
    args = parser.parse_args()
    if set(args.jobs) - set(ALL):
        parser.error("the jobs are " + ", ".join(ALL))
    if not os.path.exists("/proc/sys/kernel/checkpoint_pattern"):
        print("1..0 # SKIP the kernel has no CONFIG_CKPT")
        sys.exit(4)
    be_subreaper()
    names = args.jobs or list(ALL)
    work = tempfile.mkdtemp(prefix="jobs.")
    os.chmod(work, 0o755)
    print("TAP version 13")
    print(f"1..{len(names)}")
    note(f"seed {args.seed}")
    tests = Tests(work, args)
    for name in names:
        tests.test(name, tests.leaks if args.leaks else tests.rounds)
    if not args.keep:
        shutil.rmtree(work)
    sys.exit(tests.failed != 0)


main()
