package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name Redis gives a script
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

var linearSeed = flag.Uint64("linear-seed", 0, "repeat one history of the linearizability tests")

// errLost is what a client sees of a command whose request or answer got lost.
var errLost = errors.New("lost on the way")

// point is where a client stands.
type point int

const (
	atRest point = iota // its call has returned
	before              // its command has not reached Redis
	after               // Redis has done it; the answer is on its way
)

// client makes one call at a time, and stops before and behind each of its commands until it is told to go on. So one
// goroutine moves at any time, and a seed gives one history: of calls that overlap in every way that they can, since
// all a script's work is one instant.
type client struct {
	number int
	at     point
	calls  chan func(context.Context)
	stops  chan point
	goOn   chan bool // false: what it waits for is lost
}

type clientKey struct{}

// stopper is the hook of the connection that stops them.
type stopper struct{}

func (stopper) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (stopper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return stopped(ctx, cmds, func(ctx context.Context) error { return next(ctx, cmds) })
	}
}

func (stopper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return stopped(ctx, []redis.Cmder{cmd}, func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

func stopped(ctx context.Context, cmds []redis.Cmder, do func(context.Context) error) error {
	c, ok := ctx.Value(clientKey{}).(*client)
	if !ok {
		return do(ctx)
	}
	var err error
	for _, at := range []point{before, after} {
		c.stops <- at
		if !<-c.goOn {
			for _, cmd := range cmds {
				cmd.SetErr(errLost)
			}
			return errLost
		}
		if at == before {
			err = do(context.WithValue(ctx, clientKey{}, nil)) // what a new connection asks first is no command of the client's
		}
	}
	return err
}

func (c *client) run(ctx context.Context) {
	ctx = context.WithValue(ctx, clientKey{}, c)
	for f := range c.calls {
		f(ctx)
		c.stops <- atRest
	}
}

// mix is how often what happens.
type mix struct {
	name    string
	calls   int
	ends    float64 // of an actor's calls: finish what it holds
	cancels float64 // of the daemon's calls
	overlap int     // calls at once, at most
	slots   int     // of each actor, and how many ends and jobs are in an exchange at most
	// feeds, of the daemon's calls: submissions, some of them delayed, and promotions of what is due; some scripts fail and are
	// tried again. Then jobs are few, so actors stand idle and are handed what comes. 0: jobs always wait, so nobody is idle.
	feeds float64
}

var mixes = []mix{
	// A fault may show only in many calls about one job that do not end it, and overlap little: with much overlap a
	// wrong answer can be explained by another order.
	{"one job for long", 2500, 0.001, 0.001, 2, 1, 0},
	{"short lives", 600, 0.2, 0.03, 3, 2, 0},
	{"much at once", 300, 0.05, 0.02, 5, 3, 0},
	{"handed over", 900, 0.3, 0.03, 3, 2, 0.4},
	{"handed over, much at once", 300, 0.3, 0.03, 5, 3, 0.4},
}

const (
	linearActors  = 3
	linearDaemons = 2
	// lostMost bounds the calls without an answer of one history: each may have happened at any time since, and the search
	// for an order doubles with each.
	lostMost = 8
)

// play is one history in the making.
type play struct {
	*bed
	mix
	rnd     *rand.Rand
	clients []*client
	clock   int64
	history []entry
	lost    int
	jobs    int
	lives   int
	names   map[string]int // by incarnation
	hands   [linearActors]*part
	seen    []memory
	subs    []Submission
	moved   map[string]int  // hand-overs and promotions: how often each job was seen to have one
	late    map[string]bool // jobs that were seen delayed at the last look
	given   map[string]bool // hand-overs that were seen: "<job> <attempt> <incarnation>"
	// overfull is what makes a history wrong whatever its order: more in a hand than it has slots for.
	overfull string
}

// part is an actor as its process knows itself.
type part struct {
	*Actor
	known bool      // said hello, and heard of no recovery since
	jobs  []Claimed // in hand, as it believes
}

// memory is a job that somebody had once: what late messages are made of.
type memory struct {
	number int // of the actor
	actor  *Actor
	job    Claimed
}

func newPlay(b *bed, m mix, seed uint64) *play {
	p := &play{
		bed: b, mix: m, rnd: rand.New(rand.NewPCG(seed, 7)),
		names: map[string]int{}, moved: map[string]int{}, late: map[string]bool{}, given: map[string]bool{},
	}
	for n := range linearActors + linearDaemons {
		c := &client{number: n, calls: make(chan func(context.Context)), stops: make(chan point), goOn: make(chan bool)}
		p.clients = append(p.clients, c)
		go c.run(b.ctx())
	}
	return p
}

// perform makes the history, and looks for an order of it.
func (p *play) perform() (history []entry, fault string) {
	defer func() {
		for _, c := range p.clients {
			close(c.calls)
		}
	}()
	for made := 0; made < p.calls; {
		if p.feeds == 0 {
			p.topUp()
		}
		var free, busy []*client
		for _, c := range p.clients {
			if c.at == atRest {
				free = append(free, c)
			} else {
				busy = append(busy, c)
			}
		}
		if len(busy) == 0 || len(busy) < p.overlap && p.rnd.IntN(3) == 0 {
			p.begin(free[p.rnd.IntN(len(free))])
			made++
			continue
		}
		p.advance(busy[p.rnd.IntN(len(busy))])
	}
	for _, c := range p.clients {
		for c.at != atRest {
			p.advance(c)
		}
	}
	p.drain()
	if p.overfull != "" {
		return p.history, p.overfull
	}
	return p.history, linear(p.history, linearActors)
}

// drain lets all actors be dead, and works off what waits, with one that nobody troubles. Then each job has ended: one that
// the scripts have forgotten somewhere would not, nor one whose claim nobody heard of.
func (p *play) drain() {
	for n := range linearActors {
		for life := range p.lives {
			inc := fmt.Sprint("life", life+1)
			if p.names[inc] != n {
				continue
			}
			start := p.tick()
			r := must[Recovered](p.bed)(p.d.Recover(p.ctx(), inc, true, 1_000_000))
			var back []string
			for _, j := range r.Jobs {
				back = append(back, j.ID)
			}
			p.history = append(p.history, entry{asked{kind: "recover", client: -1, actor: n, inc: inc}, answered{code: r.Code, back: back, start: start, end: p.tick()}})
			p.look()
		}
	}
	a := p.actor("p_drain", "drain")
	in := asked{kind: "exchange", client: -1, actor: -1, inc: "drain", want: 1}
	var ended []Ended
	for range 2*p.jobs + 2 { // a retry in hand counts as another
		p.promoteAll()
		start := p.tick()
		r := must[ExchangeResult](p.bed)(a.Exchange(p.ctx(), ended, 0, 1))
		p.history = append(p.history, entry{in, answered{code: r.Code, told: r.Told, jobs: r.Jobs, start: start, end: p.tick()}})
		p.look()
		if len(r.Jobs) == 0 {
			break
		}
		j := r.Jobs[0].Claimed
		in.ended, ended = []end{{j.ID, j.Token.Attempt, false}}, []Ended{{Job: j}}
	}
	for n := range p.jobs {
		start := p.tick()
		p.history = append(p.history, entry{asked{kind: "drained", job: fmt.Sprint("j", n+1), client: -1, actor: -1}, answered{start: start, end: p.tick()}})
	}
}

// advance lets one client go on to its next stop.
func (p *play) advance(c *client) {
	lose := p.lost < lostMost && p.rnd.IntN(60) == 0
	if lose {
		p.lost++
	}
	sent := c.at == before && !lose
	if sent && p.feeds > 0 {
		p.nextMs()
	}
	c.goOn <- !lose
	c.at = p.stop(c)
	if sent && p.feeds > 0 {
		p.look()
	}
}

// nextMs lets the next command have a millisecond of its own: who of two is idle for longer is then no matter of chance.
func (p *play) nextMs() {
	at := func() int64 { return must[time.Time](p.bed)(p.s.rdb.Time(p.ctx()).Result()).UnixMilli() }
	for first := at(); at() == first; {
		runtime.Gosched()
	}
}

func (p *play) stop(c *client) point {
	select {
	case at := <-c.stops:
		return at
	case <-time.After(soon):
		p.Fatalf("client %d does not move", c.number)
		return atRest
	}
}

func (p *play) tick() int64 { p.clock++; return p.clock }

// call begins one call of a client; f makes it and reads its answer.
func (p *play) call(c *client, in asked, f func(context.Context) (answered, error)) {
	in.client = c.number
	start := p.tick()
	c.calls <- func(ctx context.Context) {
		a, err := f(ctx)
		a.start = start
		switch {
		case errors.Is(err, ErrAway):
			a = answered{lost: true, start: start, end: never}
		case err != nil:
			p.Errorf("%+v: %v", in, err)
			return
		default:
			a.end = p.tick()
		}
		p.history = append(p.history, entry{in, a})
	}
	c.at = p.stop(c)
}

// topUp keeps jobs waiting, so that nobody stands idle: a hand-over to an idle actor is no call of its own.
func (p *play) topUp() {
	n, err := p.s.rdb.LLen(p.ctx(), p.s.keys.queue("sh").name).Result()
	if err != nil {
		p.Fatal(err)
	}
	for ; n < int64(p.slots)+1; n++ {
		p.jobs++
		id := fmt.Sprint("j", p.jobs)
		start := p.tick()
		a := p.job(id, uint64(p.jobs))
		p.history = append(p.history, entry{asked{kind: "accept", job: id, client: -1, actor: -1}, answered{code: a.Code, start: start, end: p.tick()}})
	}
}

func (p *play) begin(c *client) {
	if c.number < linearActors {
		p.beginActor(c, c.number)
	} else {
		p.beginDaemon(c)
	}
}

func (p *play) beginActor(c *client, n int) {
	h := p.hands[n]
	if h == nil || !h.known {
		p.lives++
		p.names[fmt.Sprint("life", p.lives)] = n
		a := must[*Actor](p.bed)(p.s.Actor(fmt.Sprint("p_", n), "sh", fmt.Sprint("life", p.lives)))
		if err := a.SetSlots(p.slots); err != nil {
			p.Fatal(err)
		}
		h = &part{Actor: a}
		p.hands[n] = h
		p.call(c, asked{kind: "hello", actor: n, inc: a.incarnation}, func(ctx context.Context) (answered, error) {
			r, err := a.Hello(ctx)
			h.known = err == nil
			if err == nil && r.Code != OK {
				return answered{}, fmt.Errorf("hello: %s", r.Code)
			}
			return answered{code: r.Code}, err
		})
		return
	}
	switch r := p.rnd.Float64(); {
	case r < p.ends && len(h.jobs) > 0:
		p.exchange(c, n, h.Actor, h.jobs[:1+p.rnd.IntN(len(h.jobs))], p.some())
	case p.feeds > 0 && r < 0.4:
		p.listen(c, h)
	case r < 0.45 && len(p.seen) > 0: // a finish that comes late, of one that is not in hand
		m := p.seen[p.rnd.IntN(len(p.seen))]
		var late []Claimed
		for _, o := range p.seen[max(0, len(p.seen)-20):] {
			if o.actor == m.actor && len(late) < p.slots && p.rnd.IntN(2) == 0 {
				late = append(late, o.job)
			}
		}
		late = append(late, m.job)
		if p.hands[m.number].Actor == m.actor {
			late = slices.DeleteFunc(late, func(j Claimed) bool {
				return slices.ContainsFunc(p.hands[m.number].jobs, func(in Claimed) bool { return in.ID == j.ID && in.Token == j.Token })
			})
		}
		p.exchange(c, m.number, m.actor, late, p.rnd.IntN(4)/3*p.some())
	case r < 0.65 && len(p.seen) > 0:
		m := p.seen[len(p.seen)-1-p.rnd.IntN(min(4, len(p.seen)))]
		p.renewOne(c, m.number, m.actor, m.job)
	default:
		p.exchange(c, n, h.Actor, nil, p.some())
	}
}

// some is how many jobs to ask for.
func (p *play) some() int { return 1 + p.rnd.IntN(p.slots) }

func (p *play) renewOne(c *client, n int, a *Actor, j Claimed) {
	p.call(c, asked{kind: "renew", actor: n, inc: a.incarnation, job: j.ID, try: j.Token.Attempt}, func(ctx context.Context) (answered, error) {
		codes, err := a.Renew(ctx, j)
		if err != nil {
			return answered{}, err
		}
		return answered{code: codes[0]}, nil
	})
}

// exchange tells the ends of jobs, or of none, and asks for others.
func (p *play) exchange(c *client, n int, a *Actor, done []Claimed, want int) {
	in := asked{kind: "exchange", actor: n, inc: a.incarnation, want: want}
	var ended []Ended
	for _, j := range done {
		e := end{j.ID, j.Token.Attempt, p.feeds > 0 && (j.Token.Attempt+len(j.ID))%2 == 0} // a token's end is always told alike
		in.ended = append(in.ended, e)
		out := Outcome{Output: "of " + j.ID}
		if e.failed {
			out = Outcome{Failed: true, Reason: "exit 1"}
		}
		ended = append(ended, Ended{Job: j, Outcome: out})
	}
	p.call(c, in, func(ctx context.Context) (answered, error) {
		r, err := a.Exchange(ctx, ended, 0, want)
		if err != nil {
			return answered{}, err
		}
		if h := p.hands[n]; h.Actor == a {
			h.known = r.Code != Unregistered
			h.jobs = nil // known is 0: all that is in hand comes
			for _, t := range r.Jobs {
				h.jobs = append(h.jobs, t.Claimed)
			}
		}
		for _, t := range r.Jobs {
			if !t.Held {
				p.seen = append(p.seen, memory{n, a, t.Claimed})
			}
		}
		return answered{code: r.Code, told: r.Told, jobs: r.Jobs}, nil
	})
}

func (p *play) beginDaemon(c *client) {
	n := p.rnd.IntN(linearActors)
	name := fmt.Sprint("p_", n)
	switch r := p.rnd.Float64(); {
	case r < p.cancels && p.jobs > 0:
		id := fmt.Sprint("j", 1+p.rnd.IntN(p.jobs))
		p.call(c, asked{kind: "cancel", job: id, actor: -1}, func(ctx context.Context) (answered, error) {
			a, err := p.d.Cancel(ctx, id)
			return answered{code: a.Code}, err
		})
	case r < p.cancels+p.feeds:
		if p.rnd.IntN(3) == 0 {
			p.promote(c)
		} else {
			p.submit(c)
		}
	case r < p.cancels+p.feeds+(1-p.cancels-p.feeds)*0.35 && p.hands[n] != nil:
		inc := p.hands[n].incarnation
		p.call(c, asked{kind: "recover", actor: n, inc: inc}, func(ctx context.Context) (answered, error) {
			r, err := p.d.Recover(ctx, inc, p.rnd.IntN(2) == 0, 1_000_000)
			a := answered{code: r.Code}
			for _, j := range r.Jobs {
				a.back = append(a.back, j.ID)
				if j.Handed != "" && p.moved[j.ID] == 0 {
					err = errors.Join(err, fmt.Errorf("%s was handed to %s, whose list has nothing", j.ID, j.Handed))
				}
			}
			return a, err
		})
	case r < p.cancels+p.feeds+(1-p.cancels-p.feeds)*0.6:
		p.call(c, asked{kind: "close", actor: n}, func(ctx context.Context) (answered, error) {
			g, err := p.d.CloseGate(ctx, name)
			return answered{code: g.Code}, err
		})
	default:
		p.call(c, asked{kind: "open", actor: n}, func(ctx context.Context) (answered, error) {
			g, err := p.d.OpenGate(ctx, name)
			return answered{code: g.Code}, err
		})
	}
}

// stoppable is a store whose clients stop at each command.
func stoppable(t *testing.T, srv *server) *Store {
	s := srv.open(t)
	s.rdb.AddHook(stopper{})
	load(t, s)
	return s
}

// load gives Redis the scripts: one that it does not know costs two commands, which would be another history.
func load(t *testing.T, s *Store) {
	for _, sc := range s.scripts {
		if err := s.rdb.ScriptLoad(t.Context(), sc.source).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// history makes one by a seed, on an empty Redis.
func history(t *testing.T, srv *server, s *Store, m mix, seed uint64) (history []entry, fault string) {
	b := newBedOn(t, srv, s)
	return newPlay(b, m, seed).perform()
}

// replace changes a script's text, for a test.
func (s *script) replace(was, by string) {
	s.source = strings.ReplaceAll(s.source, was, by)
	sum := sha1.Sum([]byte(s.source)) //nolint:gosec // the name Redis gives a script
	s.sha = hex.EncodeToString(sum[:])
}

func seeds(n int) []uint64 {
	if *linearSeed != 0 {
		return []uint64{*linearSeed}
	}
	var all []uint64
	for i := range n {
		all = append(all, uint64(i+1))
	}
	return append(all, uint64(time.Now().UnixNano())) // and one that nobody has seen
}

// Whatever the order in which calls of five clients reach Redis, and whichever answers are lost: the answers are those
// of one job after another under one token at a time.
func TestLinearizable(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *server) {
		s := stoppable(t, srv)
		n := map[string]int{"real": 5, "mini": 1}[srv.name]
		for _, m := range mixes {
			calls, most := 0, 0
			for _, seed := range seeds(n) {
				h, fault := history(t, srv, s, m, seed)
				if fault != "" {
					t.Fatalf("%s, -linear-seed=%d: %s", m.name, seed, fault)
				}
				calls += len(h)
				for _, ops := range byJob(h) {
					most = max(most, len(ops))
				}
			}
			t.Logf("%s: seeds %v, %d calls, %d of one job at most", m.name, seeds(n), calls, most)
		}
	})
}

// The same seed gives the same history.
func TestLinearHistoriesRepeat(t *testing.T) {
	srv := miniServer(t)
	s := stoppable(t, srv)
	for _, m := range []mix{mixes[1], mixes[3]} {
		once := func() string { return fmt.Sprint(history(t, srv, s, m, 42)) }
		if a, b := once(), once(); a != b {
			t.Errorf("%s: two histories of one seed differ:\n%.2000s\n\n%.2000s", m.name, a, b)
		}
	}
}

// The check is worth something: each of these breaks of a script is found.
func TestLinearizabilityFindsBrokenScripts(t *testing.T) {
	for _, c := range []struct {
		name, script, sound, broken string
		idle                        bool // shows where actors are idle
	}{
		{
			"a stale finish is taken", "exchange",
			"if string.sub(token, 1, #want) ~= want then", "if false then", false,
		},
		{
			"a claim goes through a closed gate", "exchange",
			"elseif not open then", "elseif false then", false,
		},
		{
			"recover leaves the old token valid", "recover",
			"'token', j.epoch .. ' ' .. j.attempt .. '  ' .. j.started", "'token', j.epoch .. ' ' .. j.attempt .. ' ' .. a_incarnation .. ' ' .. j.started", false,
		},
		{
			"recover forgets a job in hand", "recover",
			"rare.enqueue(id, j, 'back')", "redis.call('HSET', job_key(id), 'status', 'dispatched')", false,
		},
		{
			"an attempt is not counted", "exchange",
			"tostring(j.attempt + 1)", "tostring(j.attempt + 0)", false,
		},
		{
			"a job that runs is cancelled", "cancel",
			"if j.status == 'started' then", "if false then", false,
		},
		{
			"a job is handed over and not put in hand", "accept",
			"redis.call('RPUSH', c_prefix .. ':held:' .. who.inc, id)", "redis.call('EXISTS', c_prefix .. ':held:' .. who.inc)", true,
		},
		{
			"a hand-over is not counted as an attempt", "promote",
			"tostring(j.attempt + 1)", "tostring(j.attempt + 0)", true,
		},
		{
			"a due job is dropped", "promote",
			"moved = moved + 1", "moved = moved + 1\nredis.call('LTRIM', k_queue, '1', '-1')", true,
		},
		{
			"a retry leaves the token valid", "exchange",
			"'token', a_epoch .. ' ' .. e.attempt .. '  ' .. e.started .. ' ' .. e.actor,\n'gave_back', a_epoch .. ' ' .. e.attempt .. ' ' .. e.holder, 'retried'",
			"'gave_back', a_epoch .. ' ' .. e.attempt .. ' ' .. e.holder, 'retried'", true,
		},
		{
			"retries never end", "exchange",
			"local count = string.format('%d', used + 1)", "local count = '0'", true,
		},
		{
			"a repeated end that led to a retry is stale", "exchange",
			"if code == 'STALE' and rare.told_before(id, attempt) then", "if false then", true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := miniServer(t)
			s := stoppable(t, srv)
			sc := s.scripts[c.script]
			if !strings.Contains(sc.source, c.sound) {
				t.Fatalf("script %s has no %q: break it anew", c.script, c.sound)
			}
			sc.replace(c.sound, c.broken)
			load(t, s)
			tried := mixes
			if c.idle {
				tried = mixes[3:]
			}
			for _, m := range tried {
				for seed := range uint64(4) {
					if _, fault := history(t, srv, s, m, seed+1); fault != "" {
						t.Logf("%s, seed %d: %.600s", m.name, seed+1, fault)
						return
					}
				}
			}
			t.Error("not found")
		})
	}
}
