// Package redisd gives a Herosup its Redis. In this order: the URL that was
// given; a redis-server or valkey-server found on PATH, run as a service of the
// process manager on a unix socket with an append-only file; the embedded server,
// which is miniredis in a process of its own under the process manager (in the
// daemon it would die with it and take the actors' queue along).
//
// There is one of ours to a folder (Guard): a zinit that was killed and adopts nothing
// starts a second beside the one that lives on, which waits then for the end of that.
//
// The embedded server keeps nothing on disk: when its process dies, accepted
// jobs come back from the log on the bus, results that nobody fetched do not,
// and neither do jobs that others pushed straight into it and that were not yet
// adopted. It does a few thousand jobs a second; redis-server does ten times
// that (research/bench.md, 4).
package redisd
