package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"herosup/dispatch/client"
	"herosup/events"
)

var (
	kills    = flag.Int("kills", 20, "kills of the kill matrix, on each Redis")
	killSeed = flag.Uint64("kill-seed", 0, "its seed; 0 takes one from the clock and prints it")
)

// The kill matrix: processes are killed at named points of the scripts, singly
// and in pairs, while jobs run. A ledger outside Redis says that each accepted
// job ended exactly once and ran at most once more than it was hit.
func TestKillMatrix(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) { killMatrix(t, k, nil) })
	t.Run("nats", func(t *testing.T) { killMatrix(t, withServer, startNATS(t)) })
}

func killMatrix(t *testing.T, k redisKind, n *ownNATS) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number is good
	}
	t.Logf("seed %d: repeat with -run %s -kills %d -kill-seed %d", seed, t.Name(), *kills, seed)
	m := newMatrix(t, k, n, seed)
	for m.killed < *kills {
		m.round()
	}
	m.drain()
	if m.nats != nil {
		m.poll("an answer of the daemon: its connections come back one by one", func() bool {
			_, err := m.d.bus.Conn().Request("$SRV.PING.daemon", nil, time.Second)
			return err == nil
		})
	}
	m.report()
}

const (
	// feed is how many jobs a round brings.
	feed = 4
	// lap is the number of rounds after which all jobs are waited for and checked.
	lap = 25
)

type matrix struct {
	*rig
	kind   redisKind
	nats   *ownNATS // nil: the embedded one
	rand   *rand.Rand
	proxy  *killProxy
	server *exec.Cmd // Redis
	exited chan struct{}
	direct *redis.Client
	ledger string

	jobs          map[string]bool // accepted, not checked
	hits          map[string]int  // job -> how often its holder was killed
	next          int
	rounds        int
	began         time.Time
	spent         map[string]time.Duration
	killed        int
	checked, dead int
	passed        map[string]int // point and victims -> how often
	missed        map[string]int // points that nobody passed in time
}

func newMatrix(t *testing.T, k redisKind, n *ownNATS, seed uint64) *matrix {
	t.Helper()
	m := &matrix{
		kind: k, nats: n, rand: rand.New(rand.NewPCG(seed, 1)), jobs: map[string]bool{}, hits: map[string]int{}, spent: map[string]time.Duration{},
		passed: map[string]int{}, missed: map[string]int{},
	}
	dir := t.TempDir()
	through, socket := filepath.Join(dir, "p"), filepath.Join(dir, "r")
	m.ledger = filepath.Join(dir, "ledger")
	// Actors of one job, and actors of two jobs of two types.
	restart := "restart: {backoff: [10ms, 20ms], crash_loop: {exits: 1000, within: 10s}}}\n"
	config := "  bash: {min: 2, max: 2, " + restart +
		"  both: {min: 2, max: 2, concurrency: 2, types: {bash: 1, both: 1}, interpreter: bash, " + restart +
		"redis: {url: \"unix://" + through + "\"}\n"
	if n != nil {
		config += "nats: {url: \"" + n.url() + "\"}\n"
	}
	m.rig = prepare(t, k, config)
	m.startRedis(socket)
	t.Cleanup(m.stopRedis)
	m.proxy = newKillProxy(t, through, socket)
	m.direct = redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	t.Cleanup(func() { _ = m.direct.Close() })
	m.up()
	m.learn()
	m.began = time.Now()
	return m
}

// startRedis starts the server and waits until it answers.
func (m *matrix) startRedis(socket string) {
	m.t.Helper()
	if m.kind == withEmbedded {
		m.server = m.command("redis", "--socket", socket)
	} else {
		m.server = exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "yes", //nolint:gosec // our own
			// Under everysec Redis puts off a write while the disk is busy, for up to 2 s, and answers all the same: a killed
			// server then comes back older than what it said. That is the old copy, which has tests of its own.
			"--appendfsync", "always", "--dir", filepath.Dir(socket), "--loglevel", "warning")
	}
	if err := m.server.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.exited = make(chan struct{})
	go func(c *exec.Cmd, exited chan struct{}) { _ = c.Wait(); close(exited) }(m.server, m.exited)
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1})
	defer c.Close()
	for end := time.Now().Add(10 * time.Second); c.Ping(context.WithoutCancel(m.t.Context())).Err() != nil; {
		if time.Now().After(end) {
			m.t.Fatal("redis does not answer after 10 s")
		}
		<-time.After(time.Millisecond) // it is another process
	}
}

func (m *matrix) stopRedis() {
	_ = m.server.Process.Kill()
	<-m.exited
}

// learn tells the proxy which script is which.
func (m *matrix) learn() {
	m.t.Helper()
	var keys []string
	for end := time.Now().Add(10 * time.Second); len(keys) == 0; <-time.After(time.Millisecond) { // another process puts them there
		if time.Now().After(end) {
			m.t.Fatal("no scripts in Redis after 10 s")
		}
		keys = m.direct.Keys(m.t.Context(), "hero:script:*").Val()
	}
	for _, k := range keys {
		m.proxy.learn(m.direct.HGetAll(m.t.Context(), k).Val())
	}
}

// victim of a shot.
type victim string

const (
	caller    victim = "caller"
	theActor  victim = "actor" // one that holds a job
	theDaemon victim = "daemon"
	theRedis  victim = "redis"
	theNATS   victim = "nats"
)

// plan is what one round does.
type plan struct {
	at      point
	by      victim // whose call: theActor or theDaemon
	victims []victim
	first   bool // an actor is killed first, so that there is something to recover
}

func (p plan) String() string {
	names := make([]string, len(p.victims))
	for i, v := range p.victims {
		names[i] = string(v)
	}
	return fmt.Sprintf("%s by %s: %s", p.at, p.by, strings.Join(names, "+"))
}

// draw takes a plan by the seed.
func (m *matrix) draw() plan {
	pick := func(of ...string) string { return of[m.rand.IntN(len(of))] }
	p := plan{at: point{when: pick("sent", "done", "told")}}
	if p.by = theActor; m.rand.IntN(3) == 0 {
		p.by = theDaemon
	}
	if p.by == theActor {
		p.at.call = pick("claim", "finish", "finish", "group", "group", "hello")
		p.first = p.at.call == "hello"
	} else {
		p.at.call = pick("accept", "accept", "settle", "recover")
		p.first = p.at.call == "recover"
	}
	others := []victim{caller, theActor, theDaemon}
	if m.kind == withServer { // the embedded one forgets when it is killed: another test
		others = append(others, theRedis)
	}
	if m.nats != nil {
		others = append(others, theNATS, theNATS)
	}
	p.victims = []victim{others[m.rand.IntN(len(others))]}
	if m.rand.IntN(3) == 0 {
		if v := others[m.rand.IntN(len(others))]; v != p.victims[0] {
			p.victims = append(p.victims, v)
		}
	}
	return p
}

// round carries out one plan and brings back what it killed.
func (m *matrix) round() {
	m.t.Helper()
	for range feed {
		m.accept()
	}
	p := m.draw()
	if p.first {
		m.note(m.strike([]victim{theActor}, 0, 0))
	}
	daemon := m.cmd.Process.Pid
	fired := make(chan toll, 1)
	s := &shot{
		at:    p.at,
		meant: func(pid int) bool { return (pid == daemon) == (p.by == theDaemon) },
	}
	s.fire = func(pid int, reading bool) {
		rest := 0
		if reading {
			rest = 1
		}
		fired <- m.strike(p.victims, pid, rest)
	}
	m.proxy.arm(s)
	if p.by == theDaemon {
		m.publish() // something to take in; it may meet the shot
	}
	select {
	case dead := <-fired:
		m.passed[p.String()]++
		m.note(dead)
		m.bringBack(dead)
	case <-time.After(2 * time.Second):
		if m.proxy.disarm() {
			m.missed[p.at.String()]++
			break
		}
		dead := <-fired // in the last moment
		m.note(dead)
		m.bringBack(dead)
	}
	if m.rounds++; m.rounds%lap == 0 {
		m.drain()
	}
}

// toll is what a strike killed, and which jobs its victims had in hand.
type toll struct {
	dead map[victim]bool
	hit  []string
	n    int
	err  error
}

// strike kills. It runs while the call it was aimed at stands still; rest is how
// many connections of the caller may still be open.
func (m *matrix) strike(victims []victim, callerPID, rest int) toll {
	m.proxy.burial.Lock()
	defer m.proxy.burial.Unlock()
	ctx := context.Background()
	to := toll{dead: map[victim]bool{}}
	lives, err := m.direct.HGetAll(ctx, "hero:incarnations").Result()
	if err != nil {
		to.err = err
		return to
	}
	pids := map[int]string{} // -> incarnation
	for inc := range lives {
		if i, err := events.ParseIncarnation(inc); err == nil && i.Alive() {
			pids[i.PID] = inc
		}
	}
	var targets []int
	for _, v := range victims {
		switch v {
		case caller:
			targets = append(targets, callerPID)
		case theDaemon:
			targets = append(targets, m.cmd.Process.Pid)
		case theActor:
			targets = append(targets, m.busy(ctx, pids, callerPID))
		case theRedis, theNATS:
			to.dead[v] = true
		}
	}
	slices.Sort(targets)
	for _, pid := range slices.Compact(targets) {
		if pid <= 1 || syscall.Kill(pid, syscall.SIGKILL) != nil {
			continue
		}
		to.n++
		left := 0
		if pid == callerPID {
			left = rest
		}
		if !m.proxy.silent(pid, left) {
			to.err = fmt.Errorf("process %d was killed and holds its connections", pid)
			return to
		}
		if pid == m.cmd.Process.Pid {
			to.dead[theDaemon] = true
		}
		if inc, ok := pids[pid]; ok {
			held, err := m.direct.LRange(ctx, "hero:held:"+inc, 0, -1).Result()
			if err != nil {
				to.err = err
				return to
			}
			to.hit = append(to.hit, held...)
		}
	}
	if to.dead[theRedis] {
		_ = m.server.Process.Kill()
		<-m.exited
		to.n++
	}
	if to.dead[theNATS] {
		m.nats.kill()
		to.n++
	}
	return to
}

// busy picks an actor that holds a job, by the seed; any, if none does.
func (m *matrix) busy(ctx context.Context, pids map[int]string, not int) int {
	var all, busy []int
	for _, pid := range slices.Sorted(maps.Keys(pids)) {
		if pid == not {
			continue
		}
		all = append(all, pid)
		if n, err := m.direct.LLen(ctx, "hero:held:"+pids[pid]).Result(); err == nil && n > 0 {
			busy = append(busy, pid)
		}
	}
	if len(busy) > 0 {
		all = busy
	}
	if len(all) == 0 {
		return 0
	}
	return all[m.rand.IntN(len(all))]
}

// note takes a toll into the books.
func (m *matrix) note(to toll) {
	m.t.Helper()
	if to.err != nil {
		m.t.Fatal(to.err)
	}
	m.killed += to.n
	for _, id := range to.hit {
		m.hits[id]++
	}
}

// bringBack starts again what zinit does not: Redis and the daemon.
func (m *matrix) bringBack(to toll) {
	m.t.Helper()
	defer func(t time.Time) { m.spent["back"] += time.Since(t) }(time.Now())
	if to.dead[theRedis] {
		m.startRedis(m.direct.Options().Addr)
	}
	if to.dead[theNATS] {
		m.nats.start()
	}
	if to.dead[theDaemon] {
		f := m.d.folder
		m.d.close()
		for end := time.Now().Add(5 * time.Second); ; {
			if _, held := f.Holder(); !held {
				break
			}
			if time.Now().After(end) {
				m.t.Fatal("the killed daemon still holds its folder")
			}
			<-time.After(time.Millisecond) // it is another process
		}
		m.up()
	}
}

// accept submits until the log has it, however often something dies meanwhile.
func (m *matrix) accept() {
	m.t.Helper()
	defer func(t time.Time) { m.spent["accept"] += time.Since(t) }(time.Now())
	for end := time.Now().Add(20 * time.Second); !m.publish(); {
		if time.Now().After(end) {
			m.t.Fatalf("job %d is not accepted after 20 s", m.next)
		}
	}
}

// publish submits the next job, under the same id until it is known to be in the log.
func (m *matrix) publish() bool {
	id := fmt.Sprintf("k%d", m.next)
	script := "echo b $HERO_JOB_ID >> " + m.ledger + "; sleep 0.00" + strconv.Itoa(m.next%10) + "; echo e $HERO_JOB_ID >> " + m.ledger
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Second)
	defer cancel()
	if _, err := m.d.jobs.Submit(ctx, []string{"both", "bash"}[m.next%2], script, client.Options{ID: id}); err != nil {
		return false
	}
	m.jobs[id] = true
	m.next++
	return true
}

// drain waits for the end of every job and checks each against the ledger.
func (m *matrix) drain() {
	m.t.Helper()
	defer func(t time.Time) { m.spent["drain"] += time.Since(t) }(time.Now())
	ids := slices.Sorted(maps.Keys(m.jobs))
	var open string
	for end := time.Now().Add(60 * time.Second); ; <-time.After(5 * time.Millisecond) { // other processes work
		if open = m.open(ids); open == "" {
			break
		}
		if time.Now().After(end) {
			m.t.Fatalf("not ended after 60 s: %s, hit %d times\nrecord %v\nplans so far: %v", open, m.hits[open],
				m.direct.HGetAll(m.t.Context(), "hero:job:"+open).Val(), m.passed)
		}
	}
	begun, ended := m.readLedger()
	for _, id := range ids {
		r := m.direct.HGetAll(m.t.Context(), "hero:job:"+id).Val()
		if n := m.direct.LLen(m.t.Context(), "hero:q:reply:"+id).Val(); n != 1 {
			m.t.Errorf("%s ended %d times, hit %d times\nrecord %v", id, n, m.hits[id], r)
		}
		if begun[id] > 1+m.hits[id] {
			m.t.Errorf("%s ran %d times, hit %d times\nrecord %v", id, begun[id], m.hits[id], r)
		}
		switch {
		case r["status"] == "finished" && ended[id] > 0:
		case r["status"] == "error" && m.hits[id] >= 3 && r["crashes"] == "3":
			m.dead++
		default:
			m.t.Errorf("%s: status %s, script ended %d times, hit %d times\nrecord %v", id, r["status"], ended[id], m.hits[id], r)
		}
	}
	m.checked += len(ids)
	if err := os.Truncate(m.ledger, 0); err != nil {
		m.t.Fatal(err)
	}
	clear(m.jobs)
	clear(m.hits)
	if m.t.Failed() {
		m.t.FailNow()
	}
}

// open names a job that has not ended; "" if none.
func (m *matrix) open(ids []string) string {
	p := m.direct.Pipeline()
	cmds := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		cmds[i] = p.HGet(m.t.Context(), "hero:job:"+id, "status")
	}
	_, _ = p.Exec(m.t.Context()) // each tells its own
	for i, c := range cmds {
		if s := c.Val(); s != "finished" && s != "error" {
			return ids[i]
		}
	}
	return ""
}

// readLedger counts what scripts wrote outside Redis.
func (m *matrix) readLedger() (begun, ended map[string]int) {
	m.t.Helper()
	begun, ended = map[string]int{}, map[string]int{}
	b, err := os.ReadFile(m.ledger)
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		switch f := strings.Fields(line); {
		case len(f) == 2 && f[0] == "b":
			begun[f[1]]++
		case len(f) == 2 && f[0] == "e":
			ended[f[1]]++
		}
	}
	return begun, ended
}

func (m *matrix) report() {
	m.t.Helper()
	points := map[string]int{}
	for plan, n := range m.passed {
		at, _, _ := strings.Cut(plan, ":")
		points[at] += n
	}
	m.t.Logf("%v: %v", time.Since(m.began), m.spent)
	m.t.Logf("%d kills in %d rounds, %d jobs checked, %d of them dead by their third death; %d different plans", m.killed, m.rounds, m.checked, m.dead, len(m.passed))
	for _, at := range slices.Sorted(maps.Keys(points)) {
		m.t.Logf("%6d  %s", points[at], at)
	}
	if len(m.missed) > 0 {
		m.t.Logf("not passed in time: %v", m.missed)
	}
}
