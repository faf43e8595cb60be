package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"herosup/dispatch"
	"herosup/events"
)

// ErrStalled says that a Batch found no room in time: the daemon does not keep up,
// or is away.
var ErrStalled = errors.New("the daemon does not take jobs in time")

// ErrUnconfirmed says that nobody knows whether a job was accepted. It may be
// submitted again under the same id.
var ErrUnconfirmed = errors.New("the log did not confirm the job")

// ErrClosed says that the Batch was closed.
var ErrClosed = errors.New("the batch is closed")

// BatchConfig says how to submit many jobs. Zero values mean the defaults.
type BatchConfig struct {
	// Size is how many jobs travel in one message; 0 means 256, at most 1,000. 1 MiB
	// of scripts fill one as well.
	Size int
	// InFlight is how many messages may wait for their answer; 0 means 8. Size and
	// InFlight bound the memory.
	InFlight int
	// Linger is how long a job may wait for others to share its message; 0 means
	// 10 ms.
	Linger time.Duration
	// StallWait is how long Add waits for room, and how long a message without an
	// answer is sent again; 0 means 30 s.
	StallWait time.Duration
	// Done is called once for each job that Add took: err nil when the log has it, a
	// *Refusal when the job was refused, ErrUnconfirmed or ErrClosed. Calls come one at a
	// time, from the Batch's goroutine, which waits for them. nil: Flush alone tells.
	Done func(job string, err error)
}

// Batch submits many jobs without waiting for each: they travel together, and
// several messages are under way at a time. Jobs keep their order as long as nothing
// has to be sent again.
type Batch struct {
	c       *Client
	cfg     BatchConfig
	add     chan events.JobCreate
	flush   chan chan BatchCount
	stop    chan struct{}
	stopped chan struct{}
}

// BatchCount is what became of the jobs of a Batch so far.
type BatchCount struct {
	Accepted int // in the log
	Refused  int
	// Unconfirmed: nobody knows. Submitting them again does no harm.
	Unconfirmed int
}

// Batch makes one. Close it.
func (c *Client) Batch(cfg BatchConfig) (*Batch, error) {
	if cfg.Size == 0 {
		cfg.Size = 256
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 8
	}
	if cfg.Linger == 0 {
		cfg.Linger = 10 * time.Millisecond
	}
	if cfg.StallWait == 0 {
		cfg.StallWait = 30 * time.Second
	}
	if cfg.Done == nil {
		cfg.Done = func(string, error) {}
	}
	if cfg.Size < 1 || cfg.Size > events.MaxBatch || cfg.InFlight < 1 {
		return nil, fmt.Errorf("batch of %d jobs, %d in flight: want 1 to %d, and 1 or more", cfg.Size, cfg.InFlight, events.MaxBatch)
	}
	b := &Batch{
		c: c, cfg: cfg, add: make(chan events.JobCreate, cfg.Size), flush: make(chan chan BatchCount),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	subject, err := c.bus.Subject(events.JobBatch{})
	if err != nil {
		return nil, err
	}
	s := &sender{Batch: b, subject: subject, inbox: nats.NewInbox(), under: map[uint64]*parcel{}}
	answers := make(chan *nats.Msg, 4*cfg.InFlight)
	sub, err := c.bus.Conn().ChanSubscribe(s.inbox+".*", answers)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	go func() {
		defer close(b.stopped)
		s.run(answers)
		_ = sub.Unsubscribe() // the connection may be gone, and the interest with it
	}()
	return b, nil
}

// Add hands a job over and returns its id. The error says that it was not taken, and
// Done is not called for it: a *Refusal if the job is not well formed, ErrStalled,
// ErrClosed or the context's. Safe for several goroutines.
func (b *Batch) Add(ctx context.Context, jobType, script string, o Options) (id string, err error) {
	if o.ID == "" {
		o.ID = ulid.Make().String()
	}
	if r := dispatch.CheckSubmission(jobType, o.Header(), []byte(script)); r != nil {
		r.Job = o.ID
		return o.ID, r
	}
	return o.ID, b.take(ctx, o.Create(jobType, script))
}

// AddJob is Add for a job in the form of job.create.
func (b *Batch) AddJob(ctx context.Context, job events.JobCreate) (id string, err error) {
	if job.ID == "" {
		job.ID = ulid.Make().String()
	}
	jobType, header, script := dispatch.FromCreate(job)
	if r := dispatch.CheckSubmission(jobType, header, script); r != nil {
		r.Job = job.ID
		return job.ID, r
	}
	return job.ID, b.take(ctx, job)
}

func (b *Batch) take(ctx context.Context, job events.JobCreate) error {
	select {
	case <-b.stop: // there is room, and nobody to take it out
		return ErrClosed
	default:
	}
	select {
	case b.add <- job:
		return nil
	default:
	}
	stalled := time.NewTimer(b.cfg.StallWait)
	defer stalled.Stop()
	select {
	case b.add <- job:
		return nil
	case <-stalled.C:
		return fmt.Errorf("%w: no room for %s", ErrStalled, b.cfg.StallWait)
	case <-b.stop:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Flush sends what waits and returns when everything added before has its answer.
func (b *Batch) Flush(ctx context.Context) (BatchCount, error) {
	answer := make(chan BatchCount, 1)
	select {
	case b.flush <- answer:
	case <-b.stopped:
		return BatchCount{}, ErrClosed
	case <-ctx.Done():
		return BatchCount{}, context.Cause(ctx)
	}
	select {
	case n := <-answer:
		return n, nil
	case <-b.stopped:
		return BatchCount{}, ErrClosed
	case <-ctx.Done():
		return BatchCount{}, context.Cause(ctx)
	}
}

// Close ends the Batch. Jobs that have no answer yet end in ErrClosed (not sent) or
// ErrUnconfirmed (sent): Flush first. Call it once, when no Add is under way.
func (b *Batch) Close() {
	close(b.stop)
	<-b.stopped
}

// sender is a Batch's goroutine: it owns what is under way.
type sender struct {
	*Batch
	subject, inbox string
	next           parcel             // being filled
	held           *events.JobCreate  // the first job of the one behind it: next has no room for it
	ripe           bool               // it has lingered for long enough
	under          map[uint64]*parcel // sent, by the last token of its reply subject
	made           uint64
	count          BatchCount
	waiting        []flusher
}

// flusher waits for the answers of all parcels up to one.
type flusher struct {
	upTo   uint64
	answer chan<- BatchCount
}

// parcel is the jobs of one message.
type parcel struct {
	jobs  []events.JobCreate
	left  int // how often only some of them were taken, and the others are sent again: an answer is to one such message
	bytes int
	body  []byte
	since time.Time // first sent
	due   time.Time // to be sent again
}

const (
	// parcelBytes fills a parcel, unless one job alone has more: as JSON a text is at most
	// six times as long, and the server takes 8 MiB.
	parcelBytes = 1 << 20
	// answerPace is how long a message may be without an answer until it is sent again.
	// The daemon gives a batch up after three seconds.
	answerPace = 5 * time.Second
)

func (s *sender) run(answers <-chan *nats.Msg) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		if (s.full() || s.ripe) && len(s.under) < s.cfg.InFlight {
			if s.post(); len(s.next.jobs) > 0 {
				linger.Reset(s.cfg.Linger)
			}
		}
		s.tellWaiting()
		add := s.add
		if s.full() {
			add = nil
		}
		select {
		case job := <-add:
			if len(s.next.jobs) == 0 {
				linger.Reset(s.cfg.Linger)
			}
			s.put(job)
		case m := <-answers:
			s.answer(m)
		case <-linger.C:
			s.ripe = len(s.next.jobs) > 0
		case answer := <-s.flush:
			s.drain()
			s.waiting = append(s.waiting, flusher{s.made, answer})
		case now := <-tick.C:
			s.repeat(now)
		case <-s.stop:
			s.abandon()
			return
		}
	}
}

func (s *sender) full() bool {
	return len(s.next.jobs) >= s.cfg.Size || s.next.bytes >= parcelBytes || s.held != nil
}

// put adds a job to the parcel, which is not full before.
func (s *sender) put(job events.JobCreate) {
	size := len(job.Script) + len(job.CallerID) + len(job.ContextID) + 256
	for name, value := range job.Env {
		size += len(name) + len(value)
	}
	for _, need := range job.Prereqs {
		size += len(need)
	}
	if len(s.next.jobs) > 0 && s.next.bytes+size > parcelBytes {
		s.held = &job
		return
	}
	s.next.jobs = append(s.next.jobs, job)
	s.next.bytes += size
}

// drain sends what was added before a Flush, over the window if need be: the channel
// holds one Size.
func (s *sender) drain() {
	for range len(s.add) {
		if s.full() {
			s.post()
		}
		s.put(<-s.add)
	}
	for len(s.next.jobs) > 0 {
		s.post()
	}
}

// post sends the parcel that is being filled.
func (s *sender) post() {
	if len(s.next.jobs) == 0 {
		return
	}
	p := s.next
	s.next, s.ripe = parcel{jobs: make([]events.JobCreate, 0, s.cfg.Size)}, false
	if job := s.held; job != nil {
		s.held = nil
		s.put(*job)
	}
	if s.encode(&p) != nil {
		return
	}
	p.since = time.Now()
	s.made++
	s.under[s.made] = &p
	s.transmit(s.made, &p)
}

// encode writes the message of a parcel. An error was told to its jobs.
func (s *sender) encode(p *parcel) (err error) {
	if p.body, err = json.Marshal(events.JobBatch{Jobs: p.jobs}); err != nil { // texts and numbers always can be
		s.fail(p, err)
	}
	return err
}

func (s *sender) transmit(id uint64, p *parcel) {
	p.due = time.Now().Add(answerPace)
	reply := fmt.Sprintf("%s.%d-%d", s.inbox, id, p.left)
	if err := s.c.bus.Conn().PublishMsg(&nats.Msg{Subject: s.subject, Reply: reply, Data: p.body}); err != nil {
		p.due = time.Now().Add(again)
	}
}

func (s *sender) answer(m *nats.Msg) {
	var id uint64
	var left int
	_, err := fmt.Sscanf(m.Subject[len(s.inbox):], ".%d-%d", &id, &left)
	p := s.under[id]
	if err != nil || p == nil || left != p.left {
		return // answered twice, because it was sent twice
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // nobody is there now
		p.due = time.Now().Add(again)
		return
	}
	if r := events.RefusalOf(m); r != nil {
		if r.Status == http.StatusServiceUnavailable {
			p.due = time.Now().Add(again)
			return
		}
		delete(s.under, id)
		s.fail(p, r)
		return
	}
	var a dispatch.BatchAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		delete(s.under, id)
		s.fail(p, fmt.Errorf("%w: answer: %w", ErrUnconfirmed, err))
		return
	}
	refused := map[int]*Refusal{}
	for _, r := range a.Refused {
		refused[r.Index] = &r.Refusal
	}
	var rest []events.JobCreate // those that the log did not take this time
	for i, job := range p.jobs {
		switch r := refused[i]; {
		case r == nil:
			s.done(job, nil)
		case r.Status == http.StatusServiceUnavailable:
			rest = append(rest, job)
		default:
			s.done(job, r)
		}
	}
	if p.jobs = rest; len(rest) == 0 {
		delete(s.under, id)
		return
	}
	p.left++
	p.due = time.Now().Add(again)
	if s.encode(p) != nil {
		delete(s.under, id)
	}
}

// done tells what became of one job.
func (s *sender) done(job events.JobCreate, err error) {
	var r *Refusal
	switch {
	case err == nil:
		s.count.Accepted++
	case errors.As(err, &r):
		s.count.Refused++
	default:
		s.count.Unconfirmed++
	}
	s.cfg.Done(job.ID, err)
}

func (s *sender) fail(p *parcel, err error) {
	for _, job := range p.jobs {
		s.done(job, err)
	}
}

// repeat sends again what has no answer, and gives up what has had none for long.
func (s *sender) repeat(now time.Time) {
	for id, p := range s.under {
		switch {
		case now.Sub(p.since) > s.cfg.StallWait || s.c.bus.Conn().IsClosed():
			delete(s.under, id)
			s.fail(p, fmt.Errorf("%w within %s", ErrUnconfirmed, s.cfg.StallWait))
		case now.After(p.due):
			s.transmit(id, p)
		}
	}
}

func (s *sender) tellWaiting() {
	if len(s.waiting) == 0 {
		return
	}
	oldest := s.made + 1
	for id := range s.under {
		oldest = min(oldest, id)
	}
	for len(s.waiting) > 0 && s.waiting[0].upTo < oldest {
		s.waiting[0].answer <- s.count
		s.waiting = s.waiting[1:]
	}
}

func (s *sender) abandon() {
	for _, p := range s.under {
		s.fail(p, ErrUnconfirmed)
	}
	s.fail(&s.next, ErrClosed)
	if s.held != nil {
		s.done(*s.held, ErrClosed)
	}
	for range len(s.add) {
		s.done(<-s.add, ErrClosed)
	}
}
