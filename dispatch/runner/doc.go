// Package runner runs one script through an interpreter: in a process group of its own, within a time,
// with bounded output, and without a process of that group left at the end. It knows neither Redis nor
// the bus.
//
// Comes in: a Spec (interpreter, script, environment, limits). Goes out: a Result, always; whatever goes
// wrong is said in it.
//
// # Fork, record, release
//
// Whoever takes a job from a dead actor must be able to find and kill what that actor had running. So
// Spec.Record is called with the process group before the script's first instruction, and the script runs
// only after Record has returned nil. That holds without any help from the interpreter, because the script
// does not exist for it before: the interpreter is started with an empty pipe as its standard input, Record
// is called, and then the script is written into the pipe. An interpreter that waits for its input waits
// for Record.
//
// What may run before is the interpreter's own start: the dynamic linker, python's site and
// sitecustomize, bash's BASH_ENV (which is not in the base environment; a job that sets it runs a file that
// was on the machine already), the shell script that a version manager put in the place of python3. That is
// the installation, not the script. A command that works without reading its input is not held at all: do
// not name one as an interpreter.
//
// The other way would be to stop the child itself before its exec (ptrace, or a helper that waits and then
// execs). It would cover the start as well, but ptrace takes the rights from sudo and other set-user-ID
// interpreters, a helper costs each job an exec more, and both give up the overlap of the interpreter's
// start with Record's round trip.
//
// The script is written in one system call, into a pipe that was made large enough for it before
// (MaxScript is the kernel's default limit). So an interpreter never sees the first half of a script and
// then the end of its input because we died in between: `rm -rf /srv/old` never becomes `rm -rf /`.
//
// # Scripts in a file
//
// rhai-run, herodo and `v run` read no standard input: an argument "{script.EXT}" stands for a file. There the
// guarantee is kept by /bin/sh in the interpreter's place: it waits for a line, and then becomes the interpreter
// (exec: the same process, so the same group, identity and death signal). The file is written after Record and before
// the line. So neither the script nor the interpreter runs before, which is more than the pipe gives, for one exec
// more (a millisecond). The standard input of such a script is empty.
//
// No descriptor could stand for the file: rhai-run 1.27 resolves its path first, which fails for a memfd, an unlinked file and
// a pipe alike, and a compiler wants to know its size.
//
// The file is 0600 in a folder of its own (0700) below <temporary folder>/herosup-scripts-<uid>, where an
// interpreter may leave what it compiled. The folder goes when the group is empty. A killed runner leaves it; the
// kernel gives back the lock it had on it, and so the next run of this user that needs a file removes it.
//
// rhai-run ends with 0 also when the script failed, and then tells the error on its standard error, where
// it writes nothing else: that counts as exit code 1. Rhai has no environment, so Spec.Constants stand
// before the script's first line as constants.
//
// # Death of the caller
//
// The leader has a parent-death signal (KILL), which the kernel sends when the thread ends that
// forked it. So Run locks itself to its thread until the child is gone: a Go thread ends only with a goroutine
// that is locked to it. The signal is for the leader alone, it is not inherited by its children, and the
// kernel drops it when a set-user-ID program is executed; the recorded group is for those.
//
// # The end
//
// The leader's end is the script's end. It is seen without reaping it (waitid, WNOWAIT): as a zombie it
// holds its PID, so the KILL that then goes to the group can not reach a stranger with the same number.
// Only then it is reaped, and Run waits until nobody is left in the group (emptyWait). A zombie that its new
// parent does not collect counts as gone: it runs nothing, and not every PID 1 is quick.
//
// A leader in uninterruptible sleep can not be killed; Run then does not return, because the script has not
// ended.
//
// A process that left the group (setsid, or `set -m` in bash) is out of reach: it lives on. It does not hold up
// the end, its hold on the output pipes is cut after pipeWait.
//
// # Standard input
//
// Where the script is the standard input, a command in the script that reads its input eats the lines that
// follow: `cat` in a bash script prints the rest of it, and `ssh host cmd` is the classic. Give such
// commands `</dev/null`. python3 reads all of the script before it runs it; its input() meets the end.
//
// # Output
//
// Of the standard output the first and the last half of OutputLimit are kept, with a mark between them; of the standard error the end. A
// longer output goes into Spec.Log, too, from its first byte on, while the script runs: the process manager's log, whose own
// bounds hold for it. The script does not wait for the log, and its end does for a second at most. A log that this user can
// not open once more, by /proc/self/fd, gets nothing: a socket, or a pipe that another user made (CheckLog).
//
// # Ownership
//
// Run blocks, owns all its goroutines and processes, and may be called concurrently. Nothing is shared.
package runner
