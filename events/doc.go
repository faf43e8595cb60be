// Package events is the vocabulary of Herosup: everything that can be said on
// the bus, and the bus it is said on. Components (fsm, scaler, monitor, zinit,
// dispatch) know this package and never one another.
//
// # What can be said
//
// A fact (subject "hero.evt.<entity>.<past>...") states what was observed to be
// true: an exit that was seen, a write that was acknowledged. A command
// ("hero.cmd.<entity>.<verb>...") states what somebody wants. An order
// ("hero.int....") is what one component asks of another after deciding; no role
// but the system's own account can reach it. Facts and commands never share a
// branch. Each is one struct, declared once in the catalogue (catalogue.go) with
// its entity and verb; its subject tokens are the fields tagged `subject`.
//
// A fact travels as a CloudEvents 1.0 JSON envelope with the extension
// attributes causationid (the message that led to this one), correlationid (the
// first of that chain) and sequence (a counter per publisher). A command may be
// such an envelope or the bare JSON of its data, so that a person can type it.
//
// # Order and loss
//
// Messages of one Bus reach one Subscription in the order they were published.
// Nothing is promised across two Buses, so a component publishes all facts of
// one story on its own single Bus, and readers accept the other orders.
// Delivery is at most once: a reader that is too slow loses the newest messages
// (its buffer holds Backlog of them). The loss is seen by the publisher's
// counter and told with the next message as Message.Missed; the reader must then
// read the truth again (zinit, Redis), not carry on with a hole.
//
// Between the components of one process facts and orders go straight from Publish
// into the reader's channel (Local), and to the server once for all others: the
// same order, the same loss, the same numbers. Among them no message reaches anybody
// before the one it answers: that the keeper says an actor runs, because it heard that
// its job began, is heard behind that beginning. Their commands to actors go straight to
// the service that keeps those, and not to the server.
//
// # Bad input
//
// Tokens that come from users are checked before they reach a subject: Publish
// of an event with a bad token is an error and sends nothing. What arrives is
// checked again, because others can publish too. A message that does not decode
// is handed to the one reader that watches that branch, which publishes
// CommandRejected with the reason (Bus.Reject).
//
// # Ownership
//
// A Bus and a Subscription may be used by several goroutines, but a component
// has one of each and one loop. The package starts no goroutine besides those of
// nats.go; all end with Bus.Close.
package events
