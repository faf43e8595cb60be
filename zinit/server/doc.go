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
//     what some are for. Its stop, and the shutdown, end that too.)
//   - A process that ends is started again at once the first time, then after
//     100 ms, 200 ms and so on up to 5 s; a life of 10 s makes it forget.
//   - Zombies are reaped, whoever left them.
//   - Output never blocks a child while we live. When we are killed, a child
//     that goes on writing is not killed by SIGPIPE: its end of the pipe is
//     open for reading too. It blocks when 64 KiB of output have piled up.
//   - Two servers never serve one socket or one folder: both are locked, and
//     the second is refused with the PID of the first. The socket is for its
//     owner alone (0600). A path that is no socket is never removed.
//   - When ctx of Run ends, all services are stopped, dependents before what
//     they depend on, and Run returns nil.
//   - When the server itself is killed, its children go on. The next Run over
//     the same folder finds them and refuses with LeftOvers, which names them
//     and says how to end them. (Adopting them has an issue of its own.)
//
// Run needs a process of its own: it reaps every child there is, so os/exec's
// Wait would lose its own beside it.
//
// # Where it differs from the original, on purpose
//
//   - stop waits for the service's shutdown timeout (default 10 s) before it
//     kills, and then until all is gone; the original kills after 0.5 s, answers
//     whatever survived, and takes a second even if nothing did.
//   - start and monitor answer when the process is started or could not be, so
//     that a status behind them has the PID.
//   - Restart with backoff instead of 2 s for ever; the test command has a
//     timeout and a growing pause, also when it can not be run.
//   - status has a member more, "last": how the process before this one ended.
//   - service_create refuses content that could never be loaded.
//   - Names are checked on every method, and may not hold control characters.
//   - system_reboot, as in the original's container mode, ends the server and
//     leaves the machine alone.
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
// The log ring is memory. A follower that reads too slowly loses lines and is
// told how many. A process that replaced its whole environment, left its group
// and lost its parent is known as ours only until we die.
package server
