// Package embedded runs the NATS server that a Herosup daemon brings along:
// in-process connections for the daemon's own components, TCP (loopback unless
// told otherwise) for everybody else, JetStream in the state folder.
//
// # Who may do what
//
// Whoever can publish a job runs code, so there is no access without a key.
// Each role is an account of its own, joined to the system's account by exports
// and imports, not by subject lists inside one account: there, a sender may name
// a command subject as his reply and have the server's answer delivered on it
// with the server's rights. Across accounts the reply is replaced (tests:
// injection_test.go).
//
//	system     the components; everything; in-process only, key in memory only
//	operator   hero.cmd.>, $SRV.> (discovery), reads hero.evt.>
//	submitter  hero.cmd.job.{submit,create,run,await,cancel,retry}
//	observer   reads hero.evt.>
//
// Keys are NKeys, made at the first start and kept as seed files (0600) in
// <dir>/keys; the server itself holds public keys only.
//
// # What is kept
//
// <dir>/jetstream holds the streams, <dir>/port the TCP port once chosen, so that
// contexts stay valid over restarts. Two servers on one folder would corrupt it
// without a word from NATS: the caller must hold a lock on the state folder.
//
// # Durability
//
// A message is acknowledged before it is on the disk. Death of the process loses
// none; a power cut can lose what came within SyncInterval (default 1 s, NATS's
// own default is two minutes); SyncAlways writes through at about ten times the
// cost of a publish.
//
// With less than 128 MiB of room on the disk what comes is refused, until there are 192 (room.go). If the disk is full
// all the same nothing is acknowledged; within seconds of there being room again the store is opened anew (tend.go) and takes more. LogLost and LogBack tell of that, and of a
// store that has all it may have.
package embedded
