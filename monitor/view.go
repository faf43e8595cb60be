package monitor

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"herosup/events"
)

const (
	// maxStrangers bounds the actors outside of configured slots: those of pools
	// that were removed or made smaller, until they have stopped.
	maxStrangers = 1024
	// maxTypes bounds the script types; they come from whoever submits.
	maxTypes = 1024
	// keptWarnings is how many warnings are remembered.
	keptWarnings = 20
)

// View is the picture that the facts add up to. It does no I/O; the time comes
// with each fact.
type View struct {
	grace     time.Duration
	pools     map[string]*pool
	actors    map[string]*actor
	strangers int // actors outside of configured slots
	queues    map[string]*Queue
	unserved  map[string]Unserved
	status    Status // the parts of it that are kept as they are shown
	// care is when somebody is to be looked at next; zero: nobody.
	care time.Time
}

type pool struct {
	PoolConfig
	shown   Pool   // what the scaler said
	blocked string // why no actor can be started; "" when one can
}

// NewView makes the picture of nothing heard yet, for a valid configuration.
func NewView(cfg Config) *View {
	cfg = cfg.withDefaults()
	v := &View{
		grace: cfg.OverrunGrace,
		pools: map[string]*pool{}, actors: map[string]*actor{}, queues: map[string]*Queue{}, unserved: map[string]Unserved{},
		status: Status{Redis: Link{State: LinkUnknown}, Zinit: Link{State: LinkUnknown}, Log: Link{State: LinkUnknown}},
	}
	for _, p := range cfg.Pools {
		types := p.Types
		p.Types = nil
		for _, t := range types {
			t = strings.ToLower(t) // as dispatch tells it
			p.Types = append(p.Types, t)
			v.queues[t] = &Queue{Type: t}
		}
		v.pools[p.Name] = &pool{PoolConfig: p, shown: Pool{Name: p.Name, Type: strings.Join(p.Types, ","), Types: p.Types, Min: p.Min, Max: p.Max, Concurrency: max(1, p.Concurrency)}}
	}
	return v
}

// queue finds or makes the queue of a type; nil when there are too many.
func (v *View) queue(script string) *Queue {
	q := v.queues[script]
	if q == nil && len(v.queues) < maxTypes {
		q = &Queue{Type: script}
		v.queues[script] = q
	}
	return q
}

// actor finds or makes an actor; nil when it is a stranger too many.
func (v *View) actor(poolName, name string) *actor {
	a := v.actors[name]
	if a != nil {
		return a
	}
	a = &actor{Actor: Actor{Name: name, Pool: poolName}, stranger: !v.configured(poolName, name)}
	if a.stranger {
		if v.strangers >= maxStrangers {
			return nil
		}
		v.strangers++
	}
	if p := v.pools[poolName]; p != nil {
		a.Type, a.health = p.shown.Type, p.Health
	}
	v.actors[name] = a
	return a
}

// configured reports whether the name is one of a pool's slots.
func (v *View) configured(poolName, name string) bool {
	p := v.pools[poolName]
	number, ok := strings.CutPrefix(name, poolName+"_")
	n, err := strconv.Atoi(number)
	return p != nil && ok && err == nil && n >= 1 && n <= p.Max
}

// forget drops an actor that is no slot of ours once it has stopped, or has
// ended without the keeper having spoken of it.
func (v *View) forget(a *actor) {
	if a.stranger && (a.State == stopped || a.State == "" && a.Incarnation.IsZero()) {
		delete(v.actors, a.Name)
		v.strangers--
	}
}

// Actors lists the actors by name; only those of one pool when it is not "".
func (v *View) Actors(poolName string) []Actor {
	list := []Actor{}
	for _, name := range slices.SortedFunc(maps.Keys(v.actors), byNumber) {
		// What only a process was heard of is shown when the keeper has placed it.
		if a := v.actors[name]; a.State != "" && (poolName == "" || a.Pool == poolName) {
			list = append(list, a.Actor)
		}
	}
	return list
}

// byNumber orders bash_2 before bash_10.
func byNumber(a, b string) int {
	i, j := strings.LastIndexByte(a, '_')+1, strings.LastIndexByte(b, '_')+1
	if c := strings.Compare(a[:i], b[:j]); c != 0 {
		return c
	}
	if c := len(a) - len(b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// waiting says what holds actors of a pool back, by the first of them; "" for
// nothing.
func (v *View) waiting(poolName string) string {
	var names []string
	for name, a := range v.actors {
		if a.Pool == poolName && a.Blocked != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	first := slices.MinFunc(names, byNumber)
	return first + " is blocked: " + v.actors[first].Blocked
}

// Pools lists the configured pools by name, as of now.
func (v *View) Pools(now time.Time) []Pool {
	list := []Pool{}
	for _, name := range slices.Sorted(maps.Keys(v.pools)) {
		p := v.pools[name]
		s := p.shown
		if p.blocked != "" {
			s.Degraded = p.blocked
		}
		for _, a := range v.actors {
			if a.Pool == name {
				s.count(a)
			}
		}
		if s.Degraded == "" {
			s.Degraded = v.waiting(name)
		}
		for _, t := range p.Types {
			q := v.queues[t]
			s.Backlog, s.InFlight, s.OldestWait = s.Backlog+q.Ready, s.InFlight+q.InFlight, max(s.OldestWait, q.OldestWait)
		}
		if s.Override != nil && !s.Override.Until.IsZero() && !now.Before(s.Override.Until) {
			s.Override = nil
		}
		list = append(list, s)
	}
	return list
}

func (p *Pool) count(a *actor) {
	switch a.State {
	case starting, running, idle, pinging:
	default:
		return
	}
	p.Have++
	switch {
	case len(a.hand) > 0 || a.State == running:
		p.Busy++
	case a.State != starting:
		p.Idle++
	}
}

// Missed says that facts were lost: what is shown may be out of date.
func (v *View) Missed(n uint64, from string, at time.Time) {
	v.status.FactsLost += n
	v.warn(Warning{At: at, Event: "facts-lost", Text: strconv.FormatUint(n, 10) + " facts of " + from + " did not arrive: what is shown may be out of date"})
}

// warn remembers a warning; the oldest is forgotten.
func (v *View) warn(w Warning) {
	w.At = utc(w.At)
	if len(v.status.Warnings) == keptWarnings {
		v.status.Warnings = v.status.Warnings[1:]
	}
	v.status.Warnings = append(v.status.Warnings, w)
}

// utc is how times are shown: to the millisecond, without a monotonic part.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// seconds rounds to the millisecond, for the same reason.
func seconds(s events.Seconds) events.Seconds {
	return events.SecondsOf(s.Duration().Truncate(time.Millisecond))
}

func (v *View) byName() []*actor {
	list := make([]*actor, 0, len(v.actors))
	for _, name := range slices.SortedFunc(maps.Keys(v.actors), byNumber) {
		list = append(list, v.actors[name])
	}
	return list
}
