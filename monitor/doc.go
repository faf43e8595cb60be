// Package monitor knows how everything looks and who is unwell. It decides
// nothing: what it finds out it says as a fact or an intent, and the keeper acts.
//
// # In, out
//
// In: all facts; the queries hero.cmd.system.status, hero.cmd.pool.list and
// hero.cmd.actor.list; and, as gatekeeper, the subjects of all commands. Out: the
// answers (Status, []Pool, []Actor: answer.go is their format, which programs
// may rely on), the intent ActorPing, and the facts ActorUnresponsive, JobOverran
// and CommandRejected.
//
// # The read model
//
// View folds facts into what is shown; it is the only thing here that holds
// state, and does no I/O. It is as good as the facts: a hole in them (FactsLost
// in the status) can leave an actor shown in its former state until that changes
// again. Nothing else in Herosup relies on it but the scaler, which reads
// actor.list at its start and after a hole of its own. What was told before a query
// came is in its answer: who subscribes first and then asks misses nothing. Everything
// in it starts with the daemon; counters are not those of all times.
//
// # Signs of life
//
// An actor that is idle and gave no sign of life (a job's end, a pong, becoming
// idle) for ping_every is pinged through the keeper. A ping counts as lost when
// it was told to be on the actor's list (ActorPinged) and no ActorPonged came
// within ping_timeout; one that never got there says nothing about the actor.
// ping_lost of them in a row make ActorUnresponsive, once per silence. While
// Redis is lost nobody is judged. A job with a timeout that runs longer than that
// and a grace on top, which its actor should have prevented, makes JobOverran.
//
// # The gatekeeper
//
// Every command ends in its effect or in a CommandRejected. Who serves a subject
// rejects what is malformed there; what nobody serves (an unknown word, too few
// or too many tokens) is rejected here, exactly once, with the nearest command as
// a hint. It has to be answered: reading hero.cmd.> makes us a responder in the
// eyes of NATS, so the sender would not learn by itself that nobody is there.
// Submissions are left alone after one look at their prefix.
//
// # Bounds
//
// Actors: those of configured slots, and maxStrangers others. Types: maxTypes.
// Warnings: the last 20. A fact that does not decode is reported once per kind.
//
// # Ownership
//
// Run owns the View and all goroutines; there is no lock. The Bus belongs to the
// caller and must be this component's own.
package monitor
