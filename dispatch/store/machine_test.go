package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The model test: random interleavings of all scripts by actors in several lives and a daemon, with
// repeated calls (a lost answer is a call that is made again), deaths, closed gates, pushes by others
// and lost epochs. After each step Redis must be exactly what world says, and hold the
// invariants, which are checked on Redis itself and know nothing of world.
func TestModel(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *server) {
		s := srv.open(t, func(o *Options) { o.MaxPriorityWait = 2 * MaxPriority * modelLevel })
		reached := recordCodes(s)
		checks(t, map[string]string{"real": "60", "mini": "25"}[srv.name])
		rapid.Check(t, func(rt *rapid.T) { runMachine(t.Context(), rt, s) })
		missing, unpromised := reached.missing(t)
		t.Logf("answers seen: %v; not seen: %q", reached.counts, missing)
		if len(unpromised) > 0 {
			t.Errorf("answers no header names: %q", unpromised)
		}
	})
}

// checks sets how many cases rapid tries, unless the command line does (-rapid.checks).
func checks(t *testing.T, n string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	if was := f.Value.String(); was == f.DefValue {
		_ = f.Value.Set(n)
		t.Cleanup(func() { _ = f.Value.Set(was) })
	}
}

var (
	actorTypes = map[string]string{"a_1": "sh", "a_2": "sh", "b_1": "py"}
	actorSlots = map[string]int{"a_1": 1, "a_2": 3, "b_1": 2}
	typeNames  = []string{"sh", "py"}
)

const modelCrashes = 2

// modelLevel is what a level is worth: beyond any delay of the test's.
const modelLevel = 100 * time.Hour

// hand is what one incarnation's process remembers: its side of the protocol and every job it was ever given.
type hand struct {
	*Actor
	seen []Claimed
}

type machine struct {
	*rapid.T
	ctx      context.Context
	s        *Store
	d        *Daemon
	w        *world
	hands    []*hand
	epoch    uint64 // the daemon's
	seq      uint64
	log      map[uint64]submitted // what the log still holds
	lastFact string
	dirty    map[string]bool // types in which others pushed, and no script that serves ran since
	pushed   map[string]bool // ids that others pushed a second time
	ids      []string        // of all jobs there ever were
	ends     map[string]int  // ends by fact, since the last loss
	tries    map[string]int  // last attempt by fact
	// revivable are the ended jobs that a message to revive them came for: they may start once more.
	revivable map[string]bool
	closed    map[string]int // actor and incarnation that were closed at the last check -> how many in hand
	lives     int
}

// typeOf a job is in its id.
func typeOf(id string) string { return map[byte]string{'s': "sh", 'p': "py"}[id[0]] }

func runMachine(ctx context.Context, rt *rapid.T, s *Store) {
	if err := s.rdb.FlushAll(ctx).Err(); err != nil {
		rt.Fatal(err)
	}
	m := &machine{
		T: rt, ctx: ctx, s: s, w: newWorld(), log: map[uint64]submitted{}, lastFact: noFact, dirty: map[string]bool{}, seq: 1 << 60,
		pushed: map[string]bool{}, revivable: map[string]bool{}, ends: map[string]int{}, tries: map[string]int{}, closed: map[string]int{},
	}
	m.raise()
	for range 3 { // begin with hands at work, so that short cases have something to show
		m.startActor()
	}
	rt.Repeat(map[string]func(*rapid.T){
		"": func(rt *rapid.T) { m.T = rt; m.check() },

		// What is drawn more often is named more than once.
		"start":    m.act(m.startActor),
		"hello":    m.act(m.hello),
		"accept":   m.act(m.accept),
		"accept2":  m.act(m.accept),
		"accept3":  m.act(m.accept),
		"claim":    m.act(m.claim),
		"claim2":   m.act(m.claim),
		"claim3":   m.act(m.claim),
		"many":     m.act(m.exchangeMany),
		"many2":    m.act(m.exchangeMany),
		"wake":     m.act(m.wake),
		"finish":   m.act(m.finishRight),
		"finish2":  m.act(m.finishRight),
		"finish3":  m.act(m.finishRight),
		"finish4":  m.act(m.finishRight),
		"stale":    m.act(m.finishAny),
		"hold":     m.act(m.hold),
		"assert":   m.act(m.assert),
		"assert2":  m.act(m.assert),
		"close":    m.act(m.close),
		"open":     m.act(m.open),
		"recover":  m.act(m.recover),
		"promote":  m.act(m.promote),
		"cancel":   m.act(m.cancel),
		"age":      m.act(m.age),
		"talk":     m.act(m.talk),
		"adopt":    m.act(m.adopt),
		"foreign":  m.act(m.foreign),
		"foreign2": m.act(m.foreign),
		"settle":   m.act(m.settle),
		"lose":     m.act(m.lose),
		"raise": m.act(func() {
			if m.w.epoch == m.epoch && rapid.IntRange(0, 7).Draw(m.T, "needless") > 0 {
				m.Skip("nothing lost")
			}
			m.raise()
		}),
	})
	m.drain()
}

// act runs a step with the machine printing to the step's own T.
func (m *machine) act(f func()) func(*rapid.T) {
	return func(rt *rapid.T) { m.T = rt; f() }
}

// twice makes a call, and in half the cases again at once, as after a lost answer. Both answers must be the
// model's; the model's two say what a repeat is worth, so no more is asked here but what sure must say.
func (m *machine) twice(what string, real, model func() string, again func(first, second string)) []string {
	m.Helper()
	rounds := 1
	if rapid.Bool().Draw(m.T, "lost answer") {
		rounds = 2
	}
	var answers []string
	for range rounds {
		m.syncIdle()
		m.nextTick()
		got, want := real(), model()
		if got != want {
			m.Fatalf("%s answered %q, the model says %q", what, got, want)
		}
		answers = append(answers, got)
	}
	if rounds == 2 && answers[0] != "" {
		again(answers[0], answers[1])
	}
	return answers
}

// nextTick lets the next call have a millisecond of its own, by Redis' clock.
func (m *machine) nextTick() {
	var first int64
	for {
		at, err := m.s.rdb.Time(m.ctx).Result()
		if err != nil {
			m.Fatal(err)
		}
		if first == 0 {
			first = at.UnixMilli()
		} else if at.UnixMilli() > first {
			m.w.now++
			return
		}
	}
}

// serving is twice for the scripts that hand over: after one that did its work nobody of the type may be idle
// beside a queue.
func (m *machine) serving(typ, what string, real, model func() string, again func(first, second string)) {
	m.Helper()
	for _, a := range m.twice(what, real, model, again) {
		if code, _, _ := strings.Cut(a, " "); code == "OK" || code == "JOB" || code == "IDLE" {
			delete(m.dirty, typ)
		}
	}
}

// same wants a repeat to answer as the first did.
func (m *machine) same(first, second string) {
	if first != second {
		m.Fatalf("first %q, repeated %q", first, second)
	}
}

// text prints an answer; ErrNoEpoch is "".
func (m *machine) text(err error, parts ...any) string {
	m.Helper()
	if errors.Is(err, ErrNoEpoch) {
		return ""
	}
	if err != nil {
		m.Fatal(err)
	}
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = fmt.Sprint(p)
	}
	return strings.TrimRight(strings.Join(out, " "), " ")
}

func (m *machine) pickHand() *hand {
	if len(m.hands) == 0 {
		m.Skip("no actor yet")
	}
	from := m.hands
	if rapid.IntRange(0, 3).Draw(m.T, "any life") > 0 { // mostly one that is registered: the others are dead or displaced
		live := slices.DeleteFunc(slices.Clone(m.hands), func(h *hand) bool {
			a := m.w.actors[h.name]
			return a == nil || a.inc != h.incarnation
		})
		if len(live) > 0 {
			from = live
		}
	}
	return from[rapid.IntRange(0, len(from)-1).Draw(m.T, "hand")]
}

func (m *machine) pickID() string {
	return rapid.SampledFrom(append(slices.Clone(m.ids), "s0")).Draw(m.T, "id") // s0: of no job
}

func (m *machine) pickType() string { return rapid.SampledFrom(typeNames).Draw(m.T, "type") }

func (m *machine) pickName() string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(actorTypes))).Draw(m.T, "actor")
}

// syncIdle takes the order of the idle from Redis (members of one millisecond go by name) after
// making sure that it is the same set.
func (m *machine) syncIdle() {
	for _, typ := range typeNames {
		real, err := m.s.rdb.ZRange(m.ctx, m.s.keys.idle(typ).name, 0, -1).Result()
		if err != nil {
			m.Fatal(err)
		}
		if d := cmp.Diff(sorted(m.w.idle[typ]), sorted(real)); d != "" {
			m.Fatalf("idle of %s (-model +redis):\n%s", typ, d)
		}
		drop(m.w.idle, typ, real)
	}
}

func sorted(l []string) []string {
	if len(l) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(l))
}
