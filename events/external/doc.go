// Package external is the bus on a NATS server, or a cluster, that somebody else
// runs (nats.url). It opens connections and nothing more: what the embedded server
// arranges for itself is here its keeper's to arrange.
//
//   - Who may do what is what its accounts say. Whoever may publish below the prefix
//     runs code. Users of one account who may only submit can still name a command as
//     the reply of a request, and have the server's answer come in as that command
//     (see package embedded): only accounts of their own, with exports and imports,
//     keep them out.
//   - JetStream must be on, of a version that has fast batches (2.14), and the account
//     may have streams. They are made at the start, with one replica each if nothing
//     is said.
//   - It may go at any time. What the daemon's components tell one another goes past
//     it (events.Local), so actors are kept, scaled and restarted without it and
//     jobs that Redis has are run; what nobody heard outside shows there as a gap in the
//     numbers. No job is taken in until it is back, and none that it acknowledged is lost,
//     as far as its disk goes.
package external
