package dispatch

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/dispatch/store"
	"herosup/events"
)

// exit is a process that is said to be gone.
type exit struct {
	at          time.Time // when it was seen to have ended
	incarnation events.Incarnation
	actor       string
	death       store.Death
}

func exitOf(e events.ProcessExited) exit {
	x := exit{incarnation: e.Incarnation, actor: e.Actor, at: time.Now().Add(-e.Ago.Duration()), death: store.Death{ByUs: e.ByUs, Signal: e.Signal, OutOfMemory: e.OutOfMemory}}
	if e.ExitCode >= 0 && e.Signal == "" {
		x.death.ExitCode = strconv.Itoa(e.ExitCode)
	}
	return x
}

// name is an actor that some fact spoke of.
type name string

// runRouter reads the one subscription and gives each message to the loop whose it
// is. It reads all facts, because only then a loss shows (events.Facts), but
// opens none of those that this component tells itself.
func (c *Component) runRouter(ctx context.Context, sub *events.Subscription) error {
	own := ownFacts(c.bus.Prefix())
	known := newRecent(2 * maxNames)
	for {
		var raw *nats.Msg
		select {
		case raw = <-sub.C:
		case s := <-c.signals:
			c.log.Info("bus connection", "state", s.String())
			if s == nats.CONNECTED {
				c.resynchronise("the bus was away")
			}
			continue
		case <-ctx.Done():
			return nil
		}
		if isOwn(own, raw.Subject) {
			continue
		}
		m, err := sub.Open(raw)
		if err != nil {
			// Orders of our entities have one reader, this; of bad facts the log is told.
			if strings.HasPrefix(raw.Subject, c.bus.Prefix()+"."+string(events.Order)+".") {
				c.refuse(m, events.Malformed(err))
			} else {
				c.log.Warn("fact that can not be read", "event", raw.Subject, "err", err)
			}
			continue
		}
		if m.Missed > 0 && m.Source != c.bus.Source() {
			c.resynchronise(fmt.Sprintf("%d facts of %s were lost", m.Missed, m.Source))
		}
		c.route(m, &known)
	}
}

func (c *Component) route(m events.Message, known *recent) {
	actor := func(a string) {
		if known.add(a) {
			c.toGates(name(a))
		}
	}
	switch e := m.Event.(type) {
	case events.ProcessExited:
		x := exitOf(e)
		select {
		case c.exits <- x:
		default: // the sweep finds it in the registry
			kick(c.sweepNow)
		}
		c.toGates(x)
	case events.Resynchronised:
		if e.Component != "dispatch" { // what it missed may have been ours
			kick(c.stateNow)
		}
	case events.ProcessObserved:
		actor(e.Actor)
	case events.ActorStateChanged:
		actor(e.Actor)
	case events.CloseIntake, events.OpenIntake, events.PingIntake:
		c.toGates(m)
	case events.AskScriptGroups:
		select {
		case c.asks <- m:
		default:
			c.deny(m, &events.Refusal{Status: 503, Code: "busy", Reason: fmt.Sprintf("%d questions wait already", asksBuffer), Hint: "ask again"})
		}
	}
}

// toGates waits: an order must not be lost, and the subscription holds what comes
// meanwhile.
func (c *Component) toGates(v any) {
	select {
	case c.orders <- v:
	case <-c.stopping:
	}
}

// resynchronise looks at the truth in every place where an event may have been
// missed.
func (c *Component) resynchronise(reason string) {
	c.log.Info("resynchronise", "event", "Resynchronised", "reason", reason)
	kick(c.sweepNow)
	kick(c.gatesNow)
	kick(c.measureNow)
	kick(c.endedNow)
	c.publish(events.Resynchronised{Component: "dispatch", Reason: reason})
}

// refuse refuses a command: the sender is told, and everybody else.
func (c *Component) refuse(m events.Message, r *events.Refusal) {
	if err := c.bus.Reject(m, r); err != nil {
		c.log.Warn("reject", "reason", r.Reason, "err", err)
	}
}

// deny answers a question negatively, which is nobody else's business.
func (c *Component) deny(m events.Message, r *events.Refusal) {
	if err := m.Refuse(r); err != nil {
		c.log.Debug("answer", "reason", r.Reason, "err", err)
	}
}

// ownFacts are the beginnings of the subjects that only dispatch publishes on.
func ownFacts(prefix string) []string {
	var out []string
	for _, e := range []events.Event{
		events.JobQueued{},
		events.JobWaiting{},
		events.JobAdopted{},
		events.JobStarted{},
		events.JobEnded{},
		events.JobRetried{},
		events.JobDead{},
		events.JobCancelled{},
		events.JobRemoved{},
		events.JobStale{},
		events.ActorStalled{},
		events.QueueMeasured{},
		events.ActorRegistered{},
		events.ActorPinged{},
		events.ActorPonged{},
		events.ActorDrained{},
		events.ActorOrphaned{},
		events.FactsLost{},
		events.RedisLost{},
		events.RedisBack{},
		events.RedisRefilled{},
		events.RedisChecked{},
	} {
		p := string(events.Of(e))
		out = append(out, prefix+"."+strings.TrimRight(p, ".*"))
	}
	return out
}

func isOwn(own []string, subject string) bool {
	for _, p := range own {
		if strings.HasPrefix(subject, p) && (len(subject) == len(p) || subject[len(p)] == '.') {
			return true
		}
	}
	return false
}

// watchConnection passes on when the connection comes back; what was said in
// between is lost. The result ends it.
func (c *Component) watchConnection() func() {
	nc := c.bus.Conn()
	ch := nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	c.signals = ch
	return func() { nc.RemoveStatusListener(ch) }
}
