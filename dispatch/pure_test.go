package dispatch

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"herosup/dispatch/store"
	"herosup/events"
)

// The plan deletes exactly the ended: by purge only what lies in front of
// everything that has not ended, and it agrees with the plain count.
func TestPlanDeletions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The log: each sequence from first on is ended, running or deleted.
		first := rapid.Uint64Range(1, 50).Draw(t, "first")
		kinds := rapid.SliceOfN(rapid.SampledFrom([]string{"ended", "ended", "ended", "running", "gone", "unknown"}), 0, 60).Draw(t, "kinds")
		log := map[uint64]bool{} // present, with whether it has ended
		gone := map[uint64]struct{}{}
		var page []uint64
		for i, k := range kinds {
			seq := first + uint64(i)
			switch k {
			case "ended":
				log[seq] = true
				page = append(page, seq)
			case "running":
				log[seq] = false
			case "gone":
				gone[seq] = struct{}{}
			}
		}
		page = append(page, rapid.SliceOfN(rapid.Uint64Range(0, first), 0, 5).Draw(t, "old")...)
		if !log[first] {
			page = slices.DeleteFunc(page, func(seq uint64) bool { return seq == first })
		}
		page = rapid.Permutation(page).Draw(t, "page")
		d := planDeletions(first, page, gone)
		left := maps.Clone(log)
		for seq := range left {
			if seq < d.below {
				delete(left, seq)
			}
		}
		for _, seq := range d.singles {
			delete(left, seq)
		}
		for seq, over := range log {
			if _, still := left[seq]; still == over {
				t.Fatalf("sequence %d, ended %v: in the log after that: %v (plan %+v)", seq, over, still, d)
			}
		}
		if !slices.IsSorted(d.singles) {
			t.Fatalf("singles %v", d.singles)
		}
	})
}

func TestARunIsPurged(t *testing.T) {
	var page []uint64
	for seq := uint64(10); seq < 30; seq++ {
		if seq != 15 && seq != 25 {
			page = append(page, seq)
		}
	}
	d := planDeletions(10, page, map[uint64]struct{}{15: {}})
	if d.below != 25 || !slices.Equal(d.singles, []uint64{26, 27, 28, 29}) {
		t.Errorf("%+v", d)
	}
	if d := planDeletions(11, page, nil); d.below != 0 || len(d.singles) != 17 {
		t.Errorf("a short run: %+v", d)
	}
}

func TestWorthTelling(t *testing.T) {
	was := events.QueueMeasured{Type: "bash", Ready: 1, OldestWait: 1}
	for name, c := range map[string]struct {
		is    events.QueueMeasured
		since time.Duration
		want  bool
	}{
		"another count":      {events.QueueMeasured{Type: "bash", Ready: 2}, 0, true},
		"in flight":          {events.QueueMeasured{Type: "bash", Ready: 1, InFlight: 1}, 0, true},
		"the same, at once":  {events.QueueMeasured{Type: "bash", Ready: 1, OldestWait: 2}, 10 * time.Millisecond, false},
		"it waits on":        {events.QueueMeasured{Type: "bash", Ready: 1, OldestWait: 2}, time.Second, true},
		"the same, after 5s": {was, 5 * time.Second, true},
	} {
		if got := worthTelling(was, c.is, c.since, time.Second); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	empty := events.QueueMeasured{Type: "bash"}
	if worthTelling(empty, empty, time.Second, time.Second) {
		t.Error("an empty queue is told each second")
	}
}

func TestThePipelineFollowsRedisSpeed(t *testing.T) {
	for name, c := range map[string]struct {
		size, n int
		took    time.Duration
		err     error
		want    int
	}{
		"fast and full":  {64, 64, time.Millisecond, nil, 128},
		"fast and small": {64, 3, time.Millisecond, nil, 64},
		"slow":           {64, 64, time.Second, nil, 32},
		"just right":     {64, 64, 70 * time.Millisecond, nil, 64},
		"failed":         {64, 64, time.Millisecond, store.ErrAway, 32},
		"the most":       {maxBatch, maxBatch, time.Millisecond, nil, maxBatch},
		"the least":      {minBatch, minBatch, time.Minute, nil, minBatch},
	} {
		if got := nextSize(c.size, c.n, c.took, c.err); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestPoolOf(t *testing.T) {
	for actor, want := range map[string]string{"bash_1": "bash", "my_pool_12": "my_pool", "odd": "odd", "_1": "_1", "x_": "x"} {
		if got := poolOf(actor); got != want {
			t.Errorf("%s: %s, want %s", actor, got, want)
		}
	}
}

func TestCompareIDs(t *testing.T) {
	order := []string{"0-0", "0-1", "9-0", "10-0", "10-2", "10-10", "1795566754614-0"}
	for i, a := range order {
		for j, b := range order {
			if got := compareIDs(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
}

func TestFactsInTheBusWords(t *testing.T) {
	inc := events.Incarnation{Boot: "01234567", PID: 12, Start: 34}
	f := store.Fact{
		ID: "1-0", Job: "j", Type: "bash", Actor: "bash_1", Incarnation: inc.String(), Attempt: 2, Timeout: 3 * time.Second,
		Wait: 1500 * time.Millisecond, Run: 250 * time.Millisecond, Outcome: store.StatusError, Reason: "exit 3", ExitCode: "3", Crashes: 1, Untold: 4, Nonce: "n",
	}
	own := ownFacts("hero")
	for kind, want := range map[store.FactKind]events.Event{
		store.FactHello:     events.ActorRegistered{Pool: "bash", Actor: "bash_1", Type: "bash", Incarnation: inc},
		store.FactStarted:   events.JobStarted{Type: "bash", Job: "j", Actor: "bash_1", Incarnation: inc, Attempt: 2, Timeout: 3, Wait: 1.5},
		store.FactEnded:     events.JobEnded{Type: "bash", Job: "j", Actor: "bash_1", Incarnation: inc, Attempt: 2, Outcome: events.Errored, Reason: "exit 3", ExitCode: 3, Run: 0.25},
		store.FactRetried:   events.JobRetried{Type: "bash", Job: "j", Attempt: 2, Actor: "bash_1", Incarnation: inc, Reason: "exit 3", Crashes: 1, Ready: 5},
		store.FactDead:      events.JobDead{Type: "bash", Job: "j", Reason: "exit 3", Actor: "bash_1", Incarnation: inc, Attempt: 2},
		store.FactRemoved:   events.JobRemoved{Type: "bash", Job: "j"},
		store.FactStale:     events.JobStale{Type: "bash", Job: "j", Actor: "bash_1", Incarnation: inc, Attempt: 2, Outcome: events.Errored, Reason: "exit 3", Untold: 4},
		store.FactCancelled: events.JobCancelled{Type: "bash", Job: "j"},
		store.FactPong:      events.ActorPonged{Pool: "bash", Actor: "bash_1", Nonce: "n", Incarnation: inc},
	} {
		f.Kind = kind
		if got, err := eventOf(f, 5); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %+v %v, want %+v", kind, got, err, want)
		}
		if subject := "hero." + strings.ReplaceAll(string(events.Of(want)), "*", "x"); !isOwn(own, subject) {
			t.Errorf("%s is not known as our own word", subject)
		}
	}
	f.Kind, f.How = store.FactRetried, store.AttemptInterrupted
	if e, _ := eventOf(f, 0); !e.(events.JobRetried).Interrupted {
		t.Error("an interruption is not told as one")
	}
	for _, odd := range []store.Fact{{ID: "1-0", Kind: "news"}, {ID: "1-0", Kind: store.FactHello, Incarnation: "odd"}} {
		if _, err := eventOf(odd, 0); err == nil {
			t.Errorf("%+v was told", odd)
		}
	}
	if exitCode("", store.StatusFinished) != 0 || exitCode("", store.StatusError) != -1 || exitCode("7", store.StatusError) != 7 {
		t.Error("exit codes")
	}
}

func TestStates(t *testing.T) {
	now := time.Now()
	for want, rec := range map[string]store.Record{
		StateWaiting: {Status: store.StatusDispatched}, StateDelayed: {Status: store.StatusDispatched, ReadyAt: now.Add(time.Minute)},
		StateRunning: {Status: store.StatusStarted}, StateFinished: {Status: store.StatusFinished},
		StateError: {Status: store.StatusError, Reason: "exit 1"}, StateCancelled: {Status: store.StatusError, Reason: store.ReasonCancelled},
		StateDead: {Status: store.StatusError, Reason: store.ReasonCrashes, DeadAt: time.Unix(1, 0)}, StateBlocked: {Status: store.StatusWaiting},
		StateExpired: {Status: store.StatusError, Reason: store.ReasonExpired},
	} {
		if got := stateOf(rec, now); got != want {
			t.Errorf("%+v: %s, want %s", rec, got, want)
		}
	}
	if len(States()) != 9 {
		t.Error("a state is missing in the list")
	}
}

// Own facts are skipped by their subjects; those that others may tell are not.
func TestOwnFacts(t *testing.T) {
	own := ownFacts("hero")
	for subject, want := range map[string]bool{
		"hero.evt.job.queued.bash.j": true, "hero.evt.actor.registered.bash.bash_1": true, "hero.evt.system.redisback": true,
		"hero.evt.queue.measured.bash": true, "hero.evt.job.overran.bash.j": false, "hero.evt.system.rejected.job-submit": false,
		"hero.evt.actor.changed.bash.bash_1": false, "hero.evt.system.resynchronised.dispatch": false, "hero.evt.job.queuedx.bash.j": false,
	} {
		if got := isOwn(own, subject); got != want {
			t.Errorf("%s: %v", subject, got)
		}
	}
}

func TestRecentForgets(t *testing.T) {
	r := newRecent(10)
	for i := range 100 {
		if !r.add(numeral(i)) {
			t.Errorf("%d is known", i)
		}
		if r.add(numeral(i)) {
			t.Errorf("%d is new twice", i)
		}
		if n := len(r.now) + len(r.old); n > 10 {
			t.Fatalf("%d kept", n)
		}
	}
	if r.add("98") || !r.add("1") {
		t.Error("the newest are kept, the oldest are not")
	}
}

func TestPace(t *testing.T) {
	var p pace
	for range 20 {
		if d := p.next(); d < firstPause || d > longestPause {
			t.Errorf("pause %v", d)
		}
	}
	if p.next() != longestPause {
		t.Errorf("in the end %v", p.last)
	}
	if p.reset(); p.next() != firstPause {
		t.Errorf("after a success %v", p.last)
	}
}

func TestProgress(t *testing.T) {
	p := newProgress()
	p.set(3)
	if !p.wait(t.Context(), 3) {
		t.Error("what is told is waited for")
	}
	done := make(chan bool)
	go func() { done <- p.wait(t.Context(), 5) }()
	p.set(4)
	p.set(0) // a refill
	p.set(6)
	if !<-done {
		t.Error("not woken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p.wait(ctx, 100) {
		t.Error("told what is not")
	}
}

func TestConfigIsChecked(t *testing.T) {
	s := &store.Store{}
	for name, c := range map[string]Config{
		"store": {State: "x"}, "state": {Store: s, State: "a.b"}, "no state": {Store: s}, "node": {Store: s, State: "x", Node: "a b"},
		"pool": {Store: s, State: "x", Pools: []Pool{{Name: "a.b", Types: []string{"x"}}}}, "type": {Store: s, State: "x", Pools: []Pool{{Name: "a"}}},
		"sweep": {Store: s, State: "x", SweepEvery: -1}, "ping": {Store: s, State: "x", PingEvery: time.Millisecond},
	} {
		if _, err := New(c, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "new dispatch: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := Config{Store: s, State: "x", Pools: []Pool{{Name: "P", Types: []string{"BASH"}}}}.defaults()
	if err != nil || c.Pools[0].Types[0] != "bash" || c.Node != events.LocalNode || c.MaxCrashes != 3 || c.SweepEvery != time.Second || c.OwnerLease != 15*time.Second {
		t.Errorf("%+v %v", c, err)
	}
}

// Empty counts hold until something is told, or somebody asks, or it is long ago; others not.
func TestWhenCountsHold(t *testing.T) {
	at := time.Unix(1000, 0)
	read := still{empty: true, told: 7, at: at}
	for _, tt := range []struct {
		s    still
		told uint64
		at   time.Duration
		want bool
	}{
		{read, 7, 0, true},
		{read, 7, stillEvery*time.Second - 1, true},
		{read, 7, stillEvery * time.Second, false},
		{read, 8, time.Second, false},
		{still{told: 7, at: at}, 7, time.Second, false},
		{still{}, 0, 0, false},
	} {
		if got := tt.s.holds(tt.told, at.Add(tt.at), time.Second); got != tt.want {
			t.Errorf("%+v, %d told, after %v: %v", tt.s, tt.told, tt.at, got)
		}
	}
}

// Actors that died are no reason to forget one that lives: each start of an actor is an incarnation, and a daemon sees more of them than are
// remembered.
func TestKeepersRememberWhoLives(t *testing.T) {
	self, err := events.IncarnationOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var k keepers
	for n := range maxKeepers {
		k.note(events.Incarnation{Boot: self.Boot, PID: self.PID, Start: self.Start + 1 + uint64(n)})
	}
	k.note(self)
	if all := k.alive(); !slices.Equal(all, []events.Incarnation{self}) {
		t.Errorf("%d of those remembered live, want this process", len(all))
	}
}

// A log that is away for a night is told of when that begins and when it ends, by each who needs it.
func TestALogThatIsAwayIsToldOfOnce(t *testing.T) {
	var said bytes.Buffer
	c := &Component{log: slog.New(slog.NewTextHandler(&said, nil))}
	r := c.reporter("ended")
	for range 2 {
		for range 100 {
			if r.told(t.Context(), &logError{"purge the log", context.DeadlineExceeded}) {
				t.Fatal("it is good")
			}
		}
		if !r.told(t.Context(), nil) {
			t.Fatal("it is not good")
		}
	}
	text := said.String()
	if strings.Count(text, "does not answer") != 2 || strings.Count(text, "answers again") != 2 {
		t.Errorf("said: %s", text)
	}
}
