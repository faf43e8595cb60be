package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Random graphs of jobs with random ends, taken in, run, cancelled, expired and lost with their actors in any
// order: at the end each job has ended once, or waits for a job whose bad end it holds for, and that only;
// each that ran had a right to.
func TestGraphs(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *server) {
		usual, few := srv.open(t), srv.open(t)
		fewEdges(t, few)
		checks(t, map[string]string{"real": "60", "mini": "12"}[srv.name])
		ends := map[string]int{}
		rapid.Check(t, func(rt *rapid.T) {
			s := rapid.SampledFrom([]*Store{usual, few}).Draw(rt, "store")
			g := &graph{T: rt, b: newBedOn(t, srv, s), jobs: map[string]*node{}, ends: ends}
			g.play()
		})
		t.Logf("ends: %v", ends)
	})
}

// fewEdges lets a script look at six edges, so that what is over its bound is what most graphs are about.
func fewEdges(t *testing.T, s *Store) {
	t.Helper()
	found := false
	for _, sc := range s.scripts {
		const bound = "local edges = 500"
		if !strings.Contains(sc.source, bound) {
			continue
		}
		found = true
		sc.replace(bound, "local edges = 6")
	}
	if !found {
		t.Fatal("no script bounds its edges")
	}
}

type node struct {
	Submission
	ending string // how it is to end, if it runs: good, bad, dies (its actor), late (well, in the last of its tries)
}

type graph struct {
	*rapid.T
	b     *bed
	order []string
	jobs  map[string]*node
	lives int
	hands map[string]*Actor // by type
	ends  map[string]int    // what was seen, of all graphs
}

func (g *graph) play() {
	size := rapid.SampledFrom([]int{5, 20, 60, 200}).Draw(g.T, "size")
	g.hands = map[string]*Actor{}
	for len(g.order) < size {
		switch rapid.IntRange(0, 5).Draw(g.T, "step") {
		case 0, 1, 2:
			g.submit()
		case 3:
			g.work(rapid.SampledFrom(typeNames).Draw(g.T, "type"))
		case 4:
			if len(g.order) > 0 && rapid.Bool().Draw(g.T, "cancels") {
				must[Cancelled](g.b)(g.b.d.Cancel(g.b.ctx(), rapid.SampledFrom(g.order).Draw(g.T, "cancel")))
			}
		case 5:
			g.time()
			g.settle()
		}
	}
	for worked := true; worked; { // to the end of all that can be done
		g.time()
		worked = false
		for _, typ := range typeNames {
			for g.work(typ) {
				worked = true
			}
		}
	}
	g.judge()
}

func (g *graph) submit() {
	batch := rapid.IntRange(1, 10).Draw(g.T, "batch")
	var subs []Submission
	for range batch {
		i := len(g.order) + 1
		n := &node{
			ending: rapid.SampledFrom([]string{"good", "good", "good", "bad", "dies", "late"}).Draw(g.T, "ending"),
			Submission: Submission{
				ID: fmt.Sprint("g", i), Type: rapid.SampledFrom(typeNames).Draw(g.T, "of"), Script: "x", Sequence: uint64(i),
				Priority: rapid.SampledFrom([]int{0, 0, 3, -3}).Draw(g.T, "level"), Retries: rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(g.T, "retries"),
			},
		}
		if rapid.IntRange(0, 15).Draw(g.T, "late") == 0 {
			n.StartBy = time.Now().Add(-time.Minute)
		}
		if len(g.order) > 0 {
			recent := g.order[max(0, len(g.order)-30):]
			ids := rapid.SliceOfNDistinct(rapid.SampledFrom(recent), 0, min(4, len(recent)), rapid.ID).Draw(g.T, "prerequisites")
			for _, id := range ids {
				n.Prerequisites = append(n.Prerequisites, Prerequisite{
					ID: id, Rule: rapid.SampledFrom([]Rule{RuleFail, RuleFail, RuleRun, RuleHold}).Draw(g.T, "rule"),
				})
			}
		}
		g.order = append(g.order, n.ID)
		g.jobs[n.ID] = n
		subs = append(subs, n.Submission)
	}
	for i, a := range g.b.accept(subs...) {
		if a.Code != OK {
			g.Fatalf("%s: %+v", subs[i].ID, a)
		}
	}
}

// work lets the type's actor take one job and end it as it is to end; false if there was none.
func (g *graph) work(typ string) bool {
	a := g.hands[typ]
	if a == nil {
		g.lives++
		a = must[*Actor](g.b)(g.b.s.Actor("w_"+typ, typ, fmt.Sprint("life", g.lives)))
		must[Hello](g.b)(a.Hello(g.b.ctx()))
		g.hands[typ] = a
	}
	var r ClaimResult
	for r = g.b.claim(a); r.Code == Again; {
		r = g.b.claim(a)
	}
	if r.Code != GotJob {
		return false
	}
	n := g.jobs[r.Job.ID]
	ending := n.ending
	if ending == "late" {
		ending = map[bool]string{true: "good", false: "bad"}[r.Job.Token.Attempt > n.Retries]
	}
	switch ending {
	case "good":
		g.b.finish(a, *r.Job, false)
	case "bad":
		must[FinishResult](g.b)(a.Finish(g.b.ctx(), *r.Job, Outcome{Failed: true, Error: "e", Reason: "exit 1", ExitCode: "1"}, false))
	case "dies":
		must[Recovered](g.b)(g.b.d.Recover(g.b.ctx(), a.incarnation, false, 2))
		delete(g.hands, typ)
	}
	return true
}

// time is the daemon's timer: as long as something is due.
func (g *graph) time() {
	for {
		due := must[Ahead](g.b)(g.b.d.Ahead(g.b.ctx(), typeNames)).Due
		if len(due) == 0 {
			return
		}
		for _, typ := range due {
			must[Promoted](g.b)(g.b.d.Promote(g.b.ctx(), typ))
		}
	}
}

func (g *graph) settle() {
	must[int](g.b)(g.b.d.Settle(g.b.ctx(), g.b.ended(5)))
}

func (g *graph) judge() {
	ends, started := map[string]int{}, map[string]bool{}
	for after := noFact; ; {
		f := must[FactBatch](g.b)(g.b.s.ReadFacts(g.b.ctx(), after, 0))
		for _, f := range f.Facts {
			switch f.Kind {
			case FactEnded, FactDead, FactCancelled:
				ends[f.Job]++
			case FactStarted:
				started[f.Job] = true
			}
		}
		if len(f.Facts) == 0 {
			break
		}
		after = f.Last
	}
	recs := map[string]Record{}
	for _, id := range g.order {
		r := g.b.record(id)
		recs[id] = r
		g.ends[string(r.Status)+" "+strings.TrimRight(r.Reason, "0123456789")]++
		n := g.jobs[id]
		if n.ending == "late" && r.Reason != ReasonCancelled && started[id] && (r.Status != StatusFinished || r.Retried != n.Retries) {
			g.Fatalf("%s was to be well in its try %d: %s (%s) after %d", id, n.Retries+1, r.Status, r.Reason, r.Retried)
		}
		if n.ending == "bad" && n.Retries > 0 && started[id] && r.Reason != ReasonCancelled && (r.Reason != ReasonRetries || r.Attempts != n.Retries+1) {
			g.Fatalf("%s has failed in each of its tries: %s (%s) after %d of %d", id, r.Status, r.Reason, r.Attempts, n.Retries+1)
		}
	}
	waits := map[string]bool{}
	for _, id := range g.order {
		r := recs[id]
		switch {
		case r.Status.Ended():
			if ends[id] != 1 {
				g.Fatalf("%s has ended %d times", id, ends[id])
			}
		case r.Status == StatusWaiting:
			g.waitsRightly(id, recs, waits)
			waits[id] = true
			continue
		default:
			g.Fatalf("%s is left %s", id, r.Status)
		}
		if by, failed := strings.CutPrefix(r.Reason, "prerequisite "); failed {
			i := slices.IndexFunc(g.jobs[id].Prerequisites, func(p Prerequisite) bool { return p.ID == by && p.Rule == RuleFail })
			if i < 0 || recs[by].Status != StatusError || started[id] {
				g.Fatalf("%s failed by %s (%s), started %v: %+v", id, by, recs[by].Status, started[id], g.jobs[id].Prerequisites)
			}
		}
		if !started[id] {
			continue
		}
		for _, p := range g.jobs[id].Prerequisites {
			if s := recs[p.ID].Status; s != StatusFinished && (p.Rule != RuleRun || s != StatusError) {
				g.Fatalf("%s has run, and its prerequisite %s (%s) is %s", id, p.ID, p.Rule, s)
			}
		}
	}
	g.traces(waits)
}

// waitsRightly: each thing it waits for has ended badly and holds it, or waits itself.
func (g *graph) waitsRightly(id string, recs map[string]Record, waits map[string]bool) {
	needs := must[[]Need](g.b)(g.b.s.Needs(g.b.ctx(), id))
	if len(needs) == 0 {
		g.Fatalf("%s waits for nothing", id)
	}
	for _, n := range needs {
		if !waits[n.ID] && (recs[n.ID].Status != StatusError || n.Rule != RuleHold) {
			g.Fatalf("%s waits for %s (%s), which is %s", id, n.ID, n.Rule, recs[n.ID].Status)
		}
	}
}

// traces: no edge of a job that has ended is left where it would keep something for ever.
func (g *graph) traces(waits map[string]bool) {
	open := map[string]bool{}
	for id := range waits {
		for _, n := range must[[]Need](g.b)(g.b.s.Needs(g.b.ctx(), id)) {
			open[n.ID] = true
		}
	}
	for _, id := range g.order {
		if !waits[id] && g.b.exists(g.b.s.keys.need(id)) {
			g.Fatalf("%s has ended and needs something", id)
		}
		if !open[id] && !waits[id] && g.b.exists(g.b.s.keys.unlocks(id)) {
			g.Fatalf("%s unlocks nobody and has edges", id)
		}
	}
	for _, typ := range typeNames {
		for _, k := range []key{g.b.s.keys.startby(typ), g.b.s.keys.prio(typ), g.b.s.keys.delayed(typ), g.b.s.keys.queue(typ)} {
			if g.b.exists(k) {
				g.Fatalf("%s is not empty", k.name)
			}
		}
	}
	g.Logf("%d jobs, %d wait: %v", len(g.order), len(waits), slices.Sorted(maps.Keys(waits)))
}
