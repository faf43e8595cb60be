// Package daemon wires the components of one Herosup together: it is the only
// place that sees two of them. Nothing here decides about jobs or actors.
//
// Start goes from the ground up: the lock on the state folder, the process
// manager, the bus, Redis, then the components in the order in which they need
// one another's facts (monitor first, so that nothing is missed; scaler last, so
// that it decides on a whole picture). What was started is ended in reverse when a
// later step fails; what was found, or adopted by our process manager, is not.
//
// Where the process manager is another than that of the daemon before, which lives on
// and would start again whatever ends, that one's services of ours are stopped first
// (leaveFormer): each has its own grace, and no actor runs twice. SystemStarted tells it. Before that all
// is proved that can be without a side effect: no actor ends for a start that is refused.
//
// A pool whose interpreter or program is not on this machine is told as blocked before SystemStarted, and
// unblocked when it is there: see interpreters. It keeps no daemon from starting.
//
// A component that ends with an error ends the daemon: its state is rebuilt from
// zinit and Redis at the next start, which is the same code as any start.
// Actors, Redis and the process manager do not notice. Only a stop that asks for
// it (StopActors) ends them: the scaler first, then each actor once it holds no
// job, then Redis, then the process manager if it is ours.
package daemon
