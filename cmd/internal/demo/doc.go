// Package demo is the life of actors in a dozen seconds: a daemon of its own in a
// temporary folder, three pools, a few hundred jobs, actors from zero up and back
// to zero, one killed in the middle of a job and one pinged.
//
// It is a client like any other: it submits to the bus and watches the facts,
// and its summary counts what it saw, not what it sent.
package demo
