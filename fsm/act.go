package fsm

import (
	"strconv"

	"herosup/events"
)

// handlers do what the table's last column names. Each only adds to the output
// and to the record; none fires an event.
var handlers = map[Action]func(*fold, Row){
	StartProcess:    (*fold).startProcess,
	StopProcess:     (*fold).stopProcess,
	KillProcess:     (*fold).killProcess,
	RestartProcess:  (*fold).restartProcess,
	CloseIntake:     (*fold).closeIntake,
	OpenIntake:      (*fold).openIntake,
	PingIntake:      (*fold).pingIntake,
	Recover:         func(*fold, Row) {},
	RememberStart:   func(f *fold, _ Row) { f.a.StartWanted = true },
	ForgetStart:     func(f *fold, _ Row) { f.a.StartWanted = false },
	TellQuarantined: (*fold).tellQuarantined,
}

func (f *fold) startProcess(Row) {
	f.publish(events.StartProcess{Node: f.a.Node, Pool: f.a.Pool, Actor: f.a.ID})
}

func (f *fold) stopProcess(Row) {
	f.doom()
	f.publish(stopOrder(f.a))
}

// doom marks the process as told to end. Whatever is asked for later, its gate
// must not be opened again: the order may reach it at any time from now on.
func (f *fold) doom() { f.a.Doomed, f.a.ByRestart = !f.a.Incarnation.IsZero(), false }

// doomByRestart is doom by an order that may come to nothing. Nothing else has doomed
// the process: who was told to end is not asked to restart.
func (f *fold) doomByRestart() {
	f.doom()
	f.a.ByRestart = f.a.Doomed
}

// stopOrder and its like name the incarnation that is meant: the executor may
// come to it late, and must not hit the next one. Zero: none is known.
func stopOrder(a Actor) events.Event {
	return events.StopProcess{Node: a.Node, Pool: a.Pool, Actor: a.ID, Incarnation: a.Incarnation}
}

// killProcess: towards stopping it shall stay down; else the process manager
// starts it again. One that ends a restart which has waited long enough, or says a
// restart again, replaces it: that may come to nothing, and then it has its jobs still.
func (f *fold) killProcess(r Row) {
	replace := f.a.State == Restarting && r.On == DrainExpired && !f.a.Hung || f.a.ByRestart && r.On == ObservedUp
	if replace {
		f.doomByRestart()
	} else {
		f.doom()
		f.a.Hand = nil
	}
	f.publish(events.KillProcess{
		Node: f.a.Node, Pool: f.a.Pool, Actor: f.a.ID, Incarnation: f.a.Incarnation,
		Down: f.a.State == Stopping, Replace: replace,
	})
	if f.a.State == Stopping {
		f.a.Due = f.now.Add(f.a.Settings.StopTimeout)
	}
}

// restartProcess: one that hangs does not obey a TERM, and is not worth keeping when nothing can follow.
func (f *fold) restartProcess(r Row) {
	if f.a.Hung && !f.a.Incarnation.IsZero() {
		f.killProcess(r)
		return
	}
	f.doomByRestart()
	f.publish(events.RestartProcess{Node: f.a.Node, Pool: f.a.Pool, Actor: f.a.ID, Incarnation: f.a.Incarnation})
}

func (f *fold) closeIntake(Row) {
	f.a.Gate = f.nonce()
	f.publish(closeOrder(f.a))
}

func (f *fold) openIntake(Row) {
	f.a.Gate = ""
	f.publish(events.OpenIntake{Node: f.a.Node, Pool: f.a.Pool, Actor: f.a.ID})
}

// maxPings bounds the nonces that may still be answered; older ones are
// forgotten. Three lost pings end an actor by default.
const maxPings = 16

func (f *fold) pingIntake(Row) {
	nonce := f.nonce()
	pings := append(f.a.Pings[:len(f.a.Pings):len(f.a.Pings)], nonce)
	f.a.Pings = pings[max(0, len(pings)-maxPings):]
	f.publish(events.PingIntake{Node: f.a.Node, Pool: f.a.Pool, Actor: f.a.ID, Nonce: nonce})
}

func (f *fold) tellQuarantined(Row) {
	limit := f.a.Settings.CrashLoop
	f.publish(events.ActorQuarantined{
		Pool: f.a.Pool, Actor: f.a.ID, Exits: len(f.a.Failures), Within: events.SecondsOf(limit.Within),
		Reason: "it failed " + strconv.Itoa(len(f.a.Failures)) + " times within " + limit.Within.String() +
			" and is held down; `herosup reset " + f.a.ID + "` lets it start again",
	})
}

// nonce is a word that no other order of this or an earlier daemon carries.
func (f *fold) nonce() string {
	f.a.Nonces++
	return f.a.Salt + "-" + strconv.Itoa(f.a.Nonces)
}

func closeOrder(a Actor) events.Event {
	return events.CloseIntake{Node: a.Node, Pool: a.Pool, Actor: a.ID, Nonce: a.Gate}
}
