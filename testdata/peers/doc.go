// Command peers measures Herosup beside other Redis job layers in the same run:
// asynq (a Go module), BullMQ (from npm) and two Lua scripts that do as little as a
// job needs (the floor). Every figure of the README comes from it. From the
// repository:
//
//	go -C testdata/peers run .                           # everything, five rounds: about an hour
//	go -C testdata/peers run . -only backlog,submit      # some of it
//	go -C testdata/peers run . -rounds 1 -scale 0.02     # a look whether it works
//	go -C testdata/peers run . -list
//
// It is a module of its own so that what is measured against does not reach users'
// go.mod. redis-server 7 has to be on PATH; without node and npm BullMQ is left out,
// and the table says so.
//
// # Method
//
// Rounds are interleaved: in each, every contender of a measure runs once, one after
// another, on a redis-server of its own (fresh, on a unix socket, append-only file
// with an fsync each second unless -redis says otherwise) and, where the log takes
// part, on a daemon of its own (herosup up on a temporary state folder). A cell is the
// median of the rounds with the least and the greatest; a ratio is the median of the
// ratios inside each round, because rates of a shared machine move by more than the
// ratios do.
//
// Workers and submitters are processes of their own: this program under another role
// (see roles.go), or node. Their CPU is getrusage's, Redis' that of INFO, the daemon's that of
// /proc. Everything is given out before the clock starts (connections, scripts, the
// backlog), and each job is counted: a run that lost or doubled one fails.
//
// Defaults are everybody's own, except: asynq's log is off, and in the backlog its
// server starts after the queue is full (it looks into an empty queue once a second).
// A no-op handler returns at once; nobody reads the results.
//
// # Processes
//
// This program starts and ends every process by its PID; what its own end leaves
// is ended by the parent-death signal, and the daemon's services by `herosup down
// --stop-actors`.
package main
