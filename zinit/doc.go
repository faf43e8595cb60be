// Package zinit is the hand on the process: the only part of Herosup that
// starts, stops or signals an actor, and it does so through a zinit, the
// process manager that keeps actors alive without us.
//
// It is three things, each usable by itself:
//
//   - Client speaks to a zinit's unix socket, be it the original, zinit/server or
//     the rewrite on crates.io, in its dialect (research/zinit.md 2, 3 and 8.1):
//     JSON-RPC since v0.2.15, text in the versions before, "crate" in the rewrite
//     (0.3). Which one shows in the first answer: a request of one is refused in
//     the others, at once and without an effect.
//   - Service is a service file as a value: what is to run, said as an
//     argument list, so that no text of a user is ever pasted into a command.
//   - Executor is the component: it obeys hero.int.process.<verb>.<node>.<actor>
//     and tells what became of the processes.
//
// Comes in: process commands from the fsm keeper, and ActorRegistered facts,
// which carry the PID of a process that zinit itself started again. Goes out:
// ProcessStarted, ProcessReady, ProcessExited, ProcessObserved,
// ProcessStartFailed, ProcessBlocked, ZinitLost and ZinitBack.
//
// What the executor promises:
//
//   - For one incarnation the facts come in the order started, ready, exited,
//     from one publisher on one connection; exited once, the others again when
//     somebody asks who may have missed them (a start of what runs, an observe).
//   - ProcessExited is published when the process is gone, its process group
//     is empty and the recorded group of its script is empty too, or the bound
//     for that is over, which the fact then says. No process of a dead attempt
//     is alive when a job is given to the next.
//   - An actor has one process. A zinit that was killed and adopts nothing starts a
//     second copy beside the one that lives on: then the first is ended, as by an order
//     of ours. While no executor runs it is Redis that lets the first take no other
//     job; the next executor, at its first look, ends what carries the mark of an
//     actor (HEROSUP_SERVICE in its environment) and began before the process that
//     zinit has, and EndLeftovers, for herosup down, whatever carries our mark, in the time that
//     its own stop would give it (HEROSUP_STOP_TIMEOUT beside the mark). A stop
//     also ends what zinit has lost sight of.
//   - An exit is known in the moment it happens, whoever is the parent: each
//     known process is watched through a pidfd. Polling is only the net.
//   - A start that zinit holds back, because a service that the actor comes after
//     (Template.After) is missing or has failed, is told as ProcessBlocked with the
//     names, again whenever they change; no time of ours runs out meanwhile. The
//     order of starts is zinit's. A circle is named as one, also through services
//     that are not ours.
//   - Services without our prefix (herosup-<state id>-) are never touched; of
//     those that an actor waits for the state is read, of others the name in the list.
//   - A restart, and a kill that replaces, starts the actor as it is configured now. If
//     that can not be (its program, that one's interpreter or its folder is gone, zinit
//     does not say how it is defined), what runs is left alone, and ProcessStartFailed
//     names it. What only zinit finds unfit is told when zinit has given it up.
//   - Each command ends in a fact: its effect, ProcessStartFailed, or
//     CommandRejected with the reason.
//   - What is found being stopped, by an executor before this one or by hand, ends as
//     by an order: it is nobody's crash.
//
// What can be lost: an exit that happens while nobody watches (the daemon is
// down) is not told as ProcessExited; at the next start ProcessObserved says
// what is there, and recovery of jobs is level-triggered in dispatch for that
// reason. Output of actors is zinit's to keep (a ring in memory).
//
// Under a zinit of the crate dialect an actor that is stopped stays listed, and its
// file stays, until all are removed (herosup down --stop-actors): that zinit loses
// sight of what runs when something before it in its list is removed, so nothing is
// removed that can be left. What has to be, to be made anew with another definition or
// because its next start can not be taken back otherwise, leaves a stand-in in the list
// (crate_standin.go). For what else that zinit does otherwise see crate.go.
//
// Who owns what: zinit owns the processes and their service files, the fsm
// keeper the decision what should run; the executor owns nothing that outlives
// it. It can be started and stopped at any time without an effect on actors.
//
// Layout: zinit/wire is the grammar of the socket, zinit/server our own process
// manager, zinit/zinittest the suite both it and the original have to pass.
package zinit
