package store

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A history is what clients asked and were answered, with the moments of both. It is right if there is an order
// of the calls, each between its two moments, in which a small machine gives the same answers. The machine has no idea
// of Redis: a job is absent, waits, is held under a token, or has ended; a gate is open or closed.

// asked is one call.
type asked struct {
	kind   string // accept hello exchange renew recover close open cancel promote listen; what they bring: hand due; drained: all has ended
	client int
	actor  int    // the name's number
	inc    string // who calls, or whom it is about
	job    string // of accept, renew, cancel
	try    int    // of renew and hand: the token's attempt
	ended  []end  // of exchange
	want   int    // of exchange: how many jobs more

	retries int  // of accept
	delayed bool // of accept
}

// end is one job that exchange tells as ended.
type end struct {
	job    string
	try    int // attempt of the token
	failed bool
}

// answered is what came back.
type answered struct {
	code  Code
	told  []Code   // of exchange: for each end
	jobs  []Taken  // of exchange
	back  []string // of recover
	lost  bool     // no answer: it may have happened, or not
	start int64
	end   int64
}

type entry struct {
	in  asked
	out answered
}

// never is the return of a call without an answer.
const never = math.MaxInt64

// jobOp is one call seen from one job.
type jobOp struct {
	kind    string // accept, claim, hand, finish, renew, recover, due, cancel, drained
	inc     string
	try     int
	failed  bool // of finish
	retries int  // of accept
	delayed bool // of accept
}

type jobAnswer struct {
	code   Code
	try    int  // of claim: the attempt given
	held   bool // of claim: it was in hand before
	listed bool // of recover: the job is among those given back
	lost   bool
}

// jobState is the machine of one job.
type jobState struct {
	status  string // "" (absent), delayed, waits, held, ended
	tries   int
	retries int    // left
	holder  string // while held
	endedBy string // token of the finish that ended it; "cancel"
	again   string // token of the last finish that led to another try
	// cancelled while held: whoever has it is told, and it is not given back.
	cancelled bool
}

func tokenOf(inc string, try int) string { return fmt.Sprint(try, " ", inc) }

func (s jobState) fits(op jobOp) bool {
	return s.status == "held" && s.holder == op.inc && s.tries == op.try
}

// step is the whole specification: what each call does, and what it may answer.
func (s jobState) step(op jobOp, a jobAnswer) (bool, jobState) {
	ok := func(want bool) bool { return a.lost || want }
	next := s
	switch op.kind {
	case "accept":
		if s.status == "" {
			next.status, next.retries = "waits", op.retries
			if op.delayed {
				next.status = "delayed"
			}
			return ok(a.code == OK), next
		}
		return ok(a.code == Same), s
	case "due":
		next.status = "waits"
		return s.status == "delayed", next
	case "hand":
		next.status, next.tries, next.holder = "held", s.tries+1, op.inc
		return s.status == "waits" && op.try == next.tries, next
	case "claim":
		switch {
		case s.status == "waits":
			next.status, next.tries, next.holder = "held", s.tries+1, op.inc
			return ok(!a.held && a.try == next.tries), next
		case s.status == "held" && s.holder == op.inc:
			return ok(a.held && a.try == s.tries), s
		}
		return a.lost, s // it was given to nobody, or had ended
	case "finish":
		switch {
		case s.fits(op) && op.failed && !s.cancelled && s.retries > 0:
			next.status, next.holder, next.retries, next.again = "delayed", "", s.retries-1, tokenOf(op.inc, op.try)
			return ok(a.code == OK), next
		case s.fits(op):
			next = jobState{status: "ended", tries: s.tries, endedBy: tokenOf(op.inc, op.try), again: s.again}
			return ok(a.code == OK), next
		case s.endedBy == tokenOf(op.inc, op.try), s.again == tokenOf(op.inc, op.try): // told before
			return ok(a.code == OK), s
		}
		return ok(a.code == Stale), s
	case "renew":
		if s.fits(op) && s.cancelled {
			return ok(a.code == CancelCode), s
		}
		if s.fits(op) {
			return ok(a.code == OK), s
		}
		return ok(a.code == Stale), s
	case "recover":
		if s.status == "held" && s.holder == op.inc {
			next.status, next.holder = "waits", ""
			if s.cancelled {
				next = jobState{status: "ended", tries: s.tries, endedBy: "cancel", again: s.again}
			}
			return ok(a.listed), next
		}
		return ok(!a.listed), s
	case "cancel":
		switch s.status {
		case "":
			return ok(a.code == Unknown), s
		case "waits", "delayed":
			next = jobState{status: "ended", tries: s.tries, endedBy: "cancel", again: s.again}
			return ok(a.code == OK), next
		case "ended":
			return ok(a.code == EndedCode), s
		}
		next.cancelled = true
		return ok(a.code == Running), next
	case "drained":
		return s.status == "ended" || s.status == "", s // "": its submission got lost
	}
	panic(op.kind)
}

// gateState is the machine of one actor's name: whose it is, whether it is open, and whether it has asked for jobs and
// got none, so that it may be handed some.
type gateState struct {
	inc  string
	open bool
	idle bool
}

func (s gateState) step(in asked, a answered) (bool, gateState) {
	mine := s.inc == in.inc
	switch in.kind {
	case "hello":
		if mine {
			return true, s
		}
		return true, gateState{inc: in.inc, open: true}
	case "hand":
		return mine && s.open && s.idle, s
	case "exchange":
		if a.lost { // it may have made it idle
			return true, gateState{s.inc, s.open, s.idle || mine && s.open && in.want > 0}
		}
		next := gateState{s.inc, s.open, a.code == Idle}
		fresh := slices.ContainsFunc(a.jobs, func(t Taken) bool { return !t.Held })
		switch a.code {
		case Unregistered:
			return !mine, s
		case Closed:
			return mine && !s.open && !fresh, next
		case NotWanted:
			return mine && !fresh, next
		}
		return mine && (s.open || !fresh), next
	case "recover":
		if mine && (a.lost || a.code == OK) {
			return true, gateState{}
		}
		return true, s
	case "close", "open":
		if s.inc == "" {
			return a.lost || a.code == Unregistered, s
		}
		open := in.kind == "open"
		return a.lost || a.code == OK, gateState{s.inc, open, s.idle && open}
	}
	panic(in.kind)
}

// linear looks for an order of the history that the machines accept, for each job and each gate alone. The answer names
// what has none; "" when all have.
func linear(history []entry, actors int) string {
	for job, ops := range byJob(history) {
		m := porcupine.Model{
			Init: func() any { return jobState{} },
			Step: func(s, in, out any) (bool, any) { return pair(s.(jobState).step(in.(jobOp), out.(jobAnswer))) },
		}
		if fault := check(m, ops); fault != "" {
			return fmt.Sprintf("job %s (%d calls): %s", job, len(ops), fault)
		}
	}
	for actor := range actors {
		var ops []porcupine.Operation
		for _, e := range history {
			if e.in.actor == actor && e.in.kind != "renew" && e.in.kind != "accept" && e.in.kind != "cancel" {
				ops = append(ops, porcupine.Operation{ClientId: e.in.client, Input: e.in, Output: e.out, Call: e.out.start, Return: e.out.end})
			}
		}
		m := porcupine.Model{
			Init: func() any { return gateState{} },
			Step: func(s, in, out any) (bool, any) { return pair(s.(gateState).step(in.(asked), out.(answered))) },
		}
		if fault := check(m, ops); fault != "" {
			return fmt.Sprintf("gate %d (%d calls): %s", actor, len(ops), fault)
		}
	}
	return ""
}

func pair[S any](ok bool, s S) (bool, any) { return ok, s }

// checkTime bounds one search; a history that takes longer is not decided, which is a failure too.
const checkTime = 20 * time.Second

func check(m porcupine.Model, ops []porcupine.Operation) string {
	result, info := porcupine.CheckOperationsVerbose(m, ops, checkTime)
	switch result {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return "not decided in " + checkTime.String()
	}
	longest := 0
	for _, p := range info.PartialLinearizations()[0] {
		longest = max(longest, len(p))
	}
	text := fmt.Sprintf("no order fits its answers; the longest has %d calls. The calls from there on:", longest)
	sorted := slices.Clone(ops)
	slices.SortFunc(sorted, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	for _, o := range sorted[max(0, longest-3):min(len(sorted), longest+3)] {
		text += fmt.Sprintf("\n  %d-%d client %d %+v -> %+v", o.Call, o.Return, o.ClientId, o.Input, o.Output)
	}
	return text
}

// byJob takes each call apart into what it is for each job.
func byJob(history []entry) map[string][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	had := map[string]map[string]bool{} // job -> incarnations that may have held it
	var all []string
	add := func(job string, e entry, op jobOp, a jobAnswer) {
		a.lost = e.out.lost
		parts[job] = append(parts[job], porcupine.Operation{ClientId: e.in.client, Input: op, Output: a, Call: e.out.start, Return: e.out.end})
	}
	may := func(job, inc string) {
		if had[job] == nil {
			had[job] = map[string]bool{}
		}
		had[job][inc] = true
	}
	for _, e := range history {
		if e.in.kind == "accept" && !slices.Contains(all, e.in.job) {
			all = append(all, e.in.job)
		}
		for _, t := range e.out.jobs {
			may(t.ID, e.in.inc)
		}
		for _, id := range e.out.back {
			may(id, e.in.inc)
		}
		if e.in.kind == "hand" {
			may(e.in.job, e.in.inc)
		}
	}
	for _, e := range history {
		in := e.in
		switch in.kind {
		case "exchange":
			for i, t := range in.ended {
				var a jobAnswer
				if !e.out.lost {
					a.code = e.out.told[i]
				}
				add(t.job, e, jobOp{kind: "finish", inc: in.inc, try: t.try, failed: t.failed}, a)
			}
			for _, t := range e.out.jobs {
				add(t.ID, e, jobOp{kind: "claim", inc: in.inc}, jobAnswer{try: t.Token.Attempt, held: t.Held})
			}
			if e.out.lost && in.want > 0 {
				for _, id := range all {
					may(id, in.inc)
					add(id, e, jobOp{kind: "claim", inc: in.inc}, jobAnswer{})
				}
			}
		case "renew":
			if !e.out.lost { // it changes nothing
				add(in.job, e, jobOp{kind: "renew", inc: in.inc, try: in.try}, jobAnswer{code: e.out.code})
			}
		case "accept", "cancel", "drained", "due", "hand":
			add(in.job, e, jobOp{kind: in.kind, inc: in.inc, try: in.try, retries: in.retries, delayed: in.delayed}, jobAnswer{code: e.out.code})
		}
	}
	for _, e := range history {
		for _, id := range all {
			if e.in.kind == "recover" && had[id][e.in.inc] {
				add(id, e, jobOp{kind: "recover", inc: e.in.inc}, jobAnswer{listed: slices.Contains(e.out.back, id)})
			}
		}
	}
	return parts
}

// The machine itself: a history that is right, and one whose stale finish was taken.
func TestLinearFindsAWrongAnswer(t *testing.T) {
	at := int64(0)
	say := func(in asked, a answered) entry {
		a.start, a.end = at, at+1
		at += 2
		return entry{in, a}
	}
	given := func(try int, inc string) []Taken {
		return []Taken{{Claimed: Claimed{ID: "j", Token: Token{Attempt: try, Incarnation: inc}}}}
	}
	story := func(last Code) []entry {
		return []entry{
			say(asked{kind: "accept", job: "j", actor: -1}, answered{code: OK}),
			say(asked{kind: "hello", inc: "a"}, answered{code: OK}),
			say(asked{kind: "exchange", inc: "a", want: 1}, answered{code: GotJob, jobs: given(1, "a")}),
			say(asked{kind: "recover", inc: "a"}, answered{code: OK, back: []string{"j"}}),
			say(asked{kind: "hello", inc: "b"}, answered{code: OK}),
			say(asked{kind: "exchange", inc: "b", want: 1}, answered{code: GotJob, jobs: given(2, "b")}),
			say(asked{kind: "exchange", inc: "a", ended: []end{{job: "j", try: 1}}}, answered{code: Unregistered, told: []Code{last}}),
		}
	}
	if fault := linear(story(Stale), 1); fault != "" {
		t.Error(fault)
	}
	if fault := linear(story(OK), 1); fault == "" {
		t.Error("a stale finish was taken and not noticed")
	}
	gate := append(story(Stale), say(asked{kind: "close"}, answered{code: OK}),
		say(asked{kind: "exchange", inc: "b", want: 1}, answered{code: GotJob, jobs: given(3, "b")}))
	if fault := linear(gate, 1); fault == "" {
		t.Error("a claim through a closed gate was not noticed")
	}
}
