// Package server is a process manager of our own that any zinit client can
// talk to: JSON-RPC and text on one socket, told apart by a connection's first
// byte (research/zinit.md 2 and 3). Herosup starts it,
// detached, where no zinit is found, so that actors outlive the daemon exactly
// as they do under the original.
//
// Comes in: service files in Config.Dir, requests on Config.Socket, SIGCHLD.
// Goes out: processes, their states, their latest output.
//
// # How it is built
//
// A unit is the life of one service as a value: events go in, actions come
// out, nothing in it reads a clock or makes a system call. One loop owns all
// units, performs their actions, and is the only place that reaps children.
// What can take time (fork and exec, files, waiting for a group to die) happens
// in short goroutines whose results come back to the loop as messages. Each
// connection has a reader and a writer of its own; the log ring has one
// goroutine. Run returns when all of them have.
//
// Reaping and signalling are in one goroutine on purpose: a process group is
// only signalled by its number while its leader has not been reaped, so the
// number can not have become somebody else's. What outlives its leader is
// signalled process by process, each through a pidfd whose start time was
// checked.
//
// # What it promises
//
//   - A service's process leads a process group of its own. Stop means: target
//     Down, the stop signal and CONT to the group, KILL after the service's
//     shutdown timeout, and the answer when no process of the service is left:
//     also none that changed its group or session, because we are their
//     subreaper and know them by a variable in their environment
//     (ZINIT_SERVICE).
//   - A service never runs twice: what an ended process left behind is killed
//     before the next is started. (A oneshot's is left: starting a daemon is
//     what some are for. Its stop, and the shutdown, end that too, in its time.)
//   - A process that ends is started again at once the first time, then after
//     100 ms, 200 ms and so on up to 5 s; a life of 10 s makes it forget.
//   - Zombies are reaped, whoever left them.
//   - Output never blocks a child, whether we live or not. Each child writes into
//     FIFOs in the folder, of which it holds both ends, so that there is no
//     SIGPIPE. When we are killed, a keeper (a process that does nothing before)
//     reads them until the next server comes. What was read lies on disk, the
//     latest 4 MiB at the least. Sixteen FIFOs are kept ready (stock.go), which
//     takes 32 descriptors.
//   - Two servers never serve one socket or one folder: both are locked, and
//     the second is refused with the PID of the first. The socket is for its
//     owner alone (0600), and who connects is asked for his user. A path that is no socket is never removed;
//     a socket whose name somebody removed is made again within a second.
//   - When ctx of Run ends, all services are stopped, dependents before what
//     they depend on, and Run returns nil.
//   - When the server itself is killed, its children go on, and the next Run over
//     the same folder adopts them (see below).
//   - 2,000 connections are served at a time, silent ones for ever; a message has
//     30 seconds from its first byte to its last, and messages that are being read
//     hold at most 64 MiB, of all connections together. One more is refused with
//     the reason.
//
// # Adoption
//
// The folder ".running" beside the service files says which process each
// service was started as (PID, start time, boot id), written before anybody is
// told of it, and what was wanted of it. The next server goes on from there:
//
//   - A process that lives is the service's as before, with its target, its
//     output and its restarts. It is watched and signalled through a pidfd, which
//     names that very process. A stop that was under way is done anew, a test is
//     asked again, and the row of restarts begins at its beginning.
//   - If it has ended meanwhile, what it left (known by its mark) is killed, and
//     the service is started if its target is Up.
//   - A service whose target was Down stays down; a oneshot that was seen to end is
//     not run again in this run of the machine or container.
//   - How an adopted process ends is known from Linux 6.15 on, or if its parent is
//     slower to reap it than we are to look; otherwise its state is Unknown, which
//     no service behind a oneshot takes for Success.
//   - What belongs to a service that has no file any more is named in our log and
//     ended by the shutdown.
//
// What is not inherited: the lines that the dead server had read and not yet
// written down (some milliseconds' worth), the ends of lines that were cut by
// its death, and log subscriptions. Where the folder can have no FIFOs (its file
// system knows none, or is full) a child's output ends with the server that started it.
//
// # Keys that the original ignores
//
// A service file may say more than the original knows (zinit.Extension); without
// these keys a service is what it is there, but for the differences below. A bad
// value is refused by its key when the file is loaded.
//
//	user, group     name or number; groups, HOME, USER and LOGNAME come with it
//	umask           octal, 0027
//	rlimits         {nofile: 1024, core: 0, as: 2G}: setrlimit(2), soft and hard; or unlimited
//	memory_max      512M, and
//	cpu_max         1.5 processors: by a cgroup v2 of the service's own
//	restart         {delay: 100ms, max_delay: 5s, healthy: 10s, max_exits: 5, within: 1m}
//	stop_timeout    30s, for a stop of this service; shutdown_timeout for that of all, which one under way is cut short by
//	log_file        {path: /var/log/x.log, max_size: 10M, keep: 5}, beside log
//	sha256          of the program: what was hashed is what is executed
//
// Bounds of memory and processors were seen to hold on Linux 6.1 with cgroup v2
// (TestBoundsOfAMachine): in the root group, and in one that holds the server, its
// keeper and services without bounds, which are then moved into a group below it.
// What else is in that group makes bounds impossible.
//
// What is asked for holds from the first instruction on, or there is no start
// (Failure, with the reason in the log), with one exception: where the machine
// lets us have no cgroup, the service runs without, its status has a member
// "unmet" and its log a line that say why. More than restart.max_exits ends within
// restart.within make a service Failure, too, until it is started.
//
// umask and rlimits need no helper program and cost microseconds; rlimits use
// ptrace until the first instruction, so a program with the setuid bit does not
// get it there unless we are root. A log file is written by us, not by the
// service's user. One that somebody else renames is made anew; one that can not be renamed
// ends at max_size, with a warning, until it can: what it misses is counted in it then. What
// is no regular file (/dev/stdout) is written into and never turned over.
//
// Run needs a process of its own: it reaps every child there is, so os/exec's
// Wait would lose its own beside it.
//
// # Where it differs from the original, on purpose
//
// BEHAVIOUR.md has the table, the original's bugs that were left out included.
//
//   - stop waits for the service's shutdown timeout (default 10 s) before it
//     kills, and then until all is gone; the original kills after 0.5 s, answers
//     whatever survived, and takes a second even if nothing did.
//   - start and monitor answer when the process is started or could not be, so
//     that a status behind them has the PID.
//   - Restart with backoff instead of 2 s for ever; the test command has a
//     timeout and a growing pause, also when it can not be run.
//   - status has members more: "last", how the process before this one ended (with
//     "out_of_memory" if the kernel killed it at memory_max), and "unmet", see above.
//   - service_create refuses content that could never be loaded.
//   - Names are checked on every method, and may not hold control characters.
//   - system_shutdown and system_reboot end the server. The machine ends with it
//     only if the server is its first process (`herosup zinit init` sees to that);
//     the original powers off whatever machine lets it.
//   - In the text dialect stop, start and monitor answer when it is done, too;
//     names are checked there as well; a log that is followed ends with the
//     client's side of the connection, and tells what it lost.
//   - The HTTP door (system_start_http_server) is refused: it would let anybody
//     who reaches the port run commands.
//   - Bytes that are not UTF-8 in the output become U+FFFD; the original stops
//     reading that stream. Lines over 8 KiB are cut into several.
//   - stdin is /dev/null, not the server's own.
//
// # What can be lost
//
// The log ring is memory, with a copy on disk that ends with a clean end and
// leaves out lines when the disk is slower than they come. A follower that reads too slowly loses lines and is
// told how many. A process that replaced its whole environment, left its group
// and lost its parent is known as ours only until we die.
package server
