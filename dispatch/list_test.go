package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

func (b *bed) page(q events.JobList) JobPage {
	b.Helper()
	var p JobPage
	if err := b.bus.Request(b.soon(), q, &p); err != nil {
		b.Fatalf("%+v: %v", q, err)
	}
	return p
}

// all follows the cursors to the end, and returns the ids and the number of pages.
func (b *bed) all(q events.JobList) (ids []string, pages int) {
	b.Helper()
	for {
		p := b.page(q)
		pages++
		if p.Looked > listWalk+listStep {
			b.Fatalf("%d looked at for one page", p.Looked)
		}
		for _, v := range p.Jobs {
			ids = append(ids, v.ID)
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return ids, pages
		}
	}
}

// A list of thousands comes in bounded pages, each job once and in its order.
func TestListPages(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		const n = 2500
		var jobs []events.JobCreate
		for i := range n {
			c := events.JobCreate{ID: fmt.Sprintf("job-%04d", i), ScriptType: "bash", Script: fmt.Sprintf("echo %d", i)}
			switch {
			case i%50 == 1:
				c.Delay = 1000 + events.Seconds(i)
			case i%50 == 2:
				c.ScriptType = "Other"
			}
			jobs = append(jobs, c)
		}
		for some := range slices.Chunk(jobs, events.MaxBatch) {
			if a := b.batch(some...); a.Accepted != len(some) {
				t.Fatalf("%+v", a)
			}
		}
		b.eventually("all are in Redis", func() bool {
			_, told, _ := b.look()
			return told == n
		})
		var waiting, delayed, other []string
		for i := range n {
			switch id := fmt.Sprintf("job-%04d", i); i % 50 {
			case 1:
				delayed = append(delayed, id)
			case 2:
				other = append(other, id)
			default:
				waiting = append(waiting, id)
			}
		}
		check := func(q events.JobList, want []string, atMost int) {
			t.Helper()
			got, pages := b.all(q)
			if !slices.Equal(got, want) {
				t.Errorf("%+v: %d jobs, want %d: %q ...", q, len(got), len(want), got[:min(len(got), 5)])
			}
			if pages > atMost {
				t.Errorf("%+v: %d pages", q, pages)
			}
		}
		check(events.JobList{State: StateWaiting, Limit: 100}, slices.Concat(waiting, other), 26)
		check(events.JobList{State: StateWaiting, Type: "BASH", Limit: 1000}, waiting, 3)
		check(events.JobList{State: StateDelayed, Limit: 20}, delayed, 4)
		check(events.JobList{Limit: 1000}, slices.Concat(waiting, other, delayed), 6)
		check(events.JobList{Text: "ECHO 77", State: StateWaiting, Limit: 5}, []string{"job-0077", "job-0770", "job-0771", "job-0772", "job-0773", "job-0774", "job-0775", "job-0776", "job-0777", "job-0778", "job-0779"}, 4)
		check(events.JobList{OlderThan: 3600}, nil, 2)
		check(events.JobList{NewerThan: 3600, Type: "other", Limit: 7}, other, 9)
		check(events.JobList{Type: "no.token"}, nil, 2)
		check(events.JobList{State: StateDead}, nil, 1)
		if p := b.page(events.JobList{State: StateWaiting, Limit: 3}); p.Looked != 3 || len(p.Jobs) != 3 {
			t.Errorf("%d looked at for three", p.Looked)
		}
		if p := b.page(events.JobList{Limit: 100_000}); len(p.Jobs) != listMost {
			t.Errorf("%d in one page", len(p.Jobs))
		}
	})
}

// What runs is found in the hands of whoever has it, also that of an actor of several types.
func TestListOfWhatRuns(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		want := map[string][]string{}
		for i, jobType := range []string{"bash", "bash", "other", "other"} {
			id := fmt.Sprintf("job-%d", i)
			if a := b.batch(events.JobCreate{ID: id, ScriptType: jobType, Script: "x"}); a.Accepted != 1 {
				t.Fatalf("%+v", a)
			}
			want[jobType] = append(want[jobType], id)
		}
		for name, slots := range map[string]int{"both_1": 3, "both_2": 2} {
			a, err := b.store.Actor(name, "bash", b.spawn().inc.String())
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(a.SetSlots(slots), a.Serve(map[string]int{"bash": 1, "other": 1})); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Hello(b.soon()); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Exchange(b.soon(), nil, 0, slots); err != nil {
				t.Fatal(err)
			}
		}
		b.eventually("all are in hands", func() bool {
			d, err := b.store.Daemon(1).Depths(b.soon(), []string{"bash", "other"})
			return err == nil && d[0].InFlight == 2 && d[1].InFlight == 2
		})
		for _, q := range []events.JobList{{State: StateRunning}, {State: StateRunning, Limit: 1}, {State: StateRunning, Type: "bash"}, {State: StateRunning, Type: "Other", Limit: 1}} {
			ids, _ := b.all(q)
			slices.Sort(ids)
			if all := slices.Concat(want["bash"], want["other"]); q.Type == "" && !slices.Equal(ids, all) || q.Type != "" && !slices.Equal(ids, want[strings.ToLower(q.Type)]) {
				t.Errorf("%+v: %q", q, ids)
			}
		}
	})
}

// look is how much the log has and how much of it Redis has.
func (b *bed) look() (logged uint64, told int, err error) {
	d, err := b.store.Daemon(1).Depths(b.soon(), []string{"bash", "other"})
	if err != nil {
		return 0, 0, err
	}
	for _, d := range d {
		told += d.Ready + d.Delayed + d.Due
	}
	return b.logged(), told, nil
}

func TestListRefusals(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	for code, q := range map[string]events.JobList{
		"bad_state":  {State: "lost"},
		"bad_age":    {OlderThan: -1},
		"bad_limit":  {Limit: -1},
		"bad_cursor": {Cursor: "x"},
	} {
		var r *events.Refusal
		if err := b.bus.Request(b.soon(), q, nil); !errors.As(err, &r) || r.Code != code || r.Hint == "" {
			t.Errorf("%+v: %v, want %s", q, err, code)
		}
	}
}

func TestCursors(t *testing.T) {
	all := places("", []string{"a", "b"})
	if len(all) != 12 || all[0] != (place{store.PartRunning, "", 0}) || all[11] != (place{store.PartAll, "", 0}) {
		t.Errorf("%v", all)
	}
	for i, p := range all {
		p.cursor = 7
		rest, err := from(all, p.String())
		if err != nil || len(rest) != len(all)-i || rest[0] != p {
			t.Errorf("%s: %v %v", p, rest, err)
		}
	}
	if all[3].cursor != 0 {
		t.Error("a cursor changed the table")
	}
	for _, bad := range []string{"x", "ready.c.0", "ready.a", "ready.a.-1", "ready.a.x", "dead..0", "..", "running..9223372036854775808", strings.Repeat("x", 1000)} {
		if _, err := from(all, bad); err == nil || len(err.Error()) > 100 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, s := range States() {
		if len(places(s, []string{"a"})) == 0 {
			t.Errorf("jobs that are %s are looked for nowhere", s)
		}
	}
}

func TestMatches(t *testing.T) {
	now := time.Now()
	v := JobView{ID: "Abc-1", Type: "bash", State: StateError, Script: "echo Hello", Error: "boom", Reason: "exit 3", QueuedAt: now.Add(-time.Minute)}
	for want, list := range map[bool][]events.JobList{
		true: {
			{},
			{State: StateError},
			{Type: "BASH"},
			{OlderThan: 60},
			{NewerThan: 61},
			{OlderThan: 59, NewerThan: 61},
			{Text: "hello"},
			{Text: "ABC"},
			{Text: "oom"},
			{Text: "EXIT"},
		},
		false: {{State: StateDead}, {Type: "python"}, {OlderThan: 61}, {NewerThan: 60}, {Text: "nothing"}, {Text: "hello", State: StateDead}},
	} {
		for _, e := range list {
			if matches(v, e, now) != want {
				t.Errorf("%+v: want %v", e, want)
			}
		}
	}
}
