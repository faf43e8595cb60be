package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"herosup/events"
)

const (
	// batchesInHand bounds the batches that were written and wait for the log's
	// word; the next waits in the service's buffer, batchesWaiting long.
	batchesInHand  = 16
	batchesWaiting = 64
)

// BatchAnswer is the answer of job.batch: every job that is not among the refused is
// in the log.
type BatchAnswer struct {
	Accepted int `json:"accepted"`
	// Jobs are the ids in order, when the daemon had to make one of them.
	Jobs    []string       `json:"jobs,omitempty"`
	Refused []BatchRefusal `json:"refused,omitempty"`
}

// BatchRefusal says which job of a batch was refused, counted from 0, and why.
type BatchRefusal struct {
	Index int `json:"index"`
	events.Refusal
}

// batches writes what job.batch brings into the log, in the order in which it
// came: one fast batch of JetStream for each request. The stream then says once for
// all how far it got, which costs a third of a word for each message. Its gap mode
// "fail" makes that a promise: of a batch of which n messages are confirmed the first
// n are stored and no other.
//
// The messages carry no Nats-Msg-Id: the stream would have to remember every one for
// two minutes. An id that comes twice is found when it is accepted, as ever.
type batches struct {
	c     *Component
	inbox string
	in    map[string]*batch // by the batch's id
	made  uint64
}

type batch struct {
	m      events.Message
	answer BatchAnswer
	jobs   []int // indexes in the request of those that were sent
	ids    []string
	fault  string // what the stream said against the first that it did not take
	until  time.Time
}

// flow is how many messages the stream may take between two signs of life.
const flow = 500

// What a message is in its batch.
const (
	opStart = iota
	opAppend
	opCommit
)

// serveBatches offers job.batch, on a service of its own: its requests keep their
// order.
func (c *Component) serveBatches() (*events.Service, error) {
	return c.bus.Serve(events.ServiceConfig{
		Name: "dispatch-batch", Description: "many jobs at once", Patterns: []events.Pattern{events.Of(events.JobBatch{})}, InHand: batchesWaiting,
	})
}

func (c *Component) runBatches(ctx context.Context, requests <-chan events.Message) error {
	nc := c.bus.Conn()
	b := &batches{c: c, inbox: nats.NewInbox(), in: map[string]*batch{}}
	// A stream that gave a batch up answers each message of it.
	words := make(chan *nats.Msg, batchesInHand*(events.MaxBatch+events.MaxBatch/flow+2))
	sub, err := nc.ChanSubscribe(b.inbox+".>", words)
	if err != nil {
		return fmt.Errorf("batches: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		in := requests
		if len(b.in) >= batchesInHand {
			in = nil
		}
		select {
		case m := <-in:
			if e, ok := m.Event.(events.JobBatch); ok {
				b.begin(m, e)
			}
		case w := <-words:
			b.word(w)
		case now := <-tick.C:
			b.expire(now)
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *batches) begin(m events.Message, e events.JobBatch) {
	if n := len(e.Jobs); n == 0 || n > events.MaxBatch {
		b.c.refuse(m, bad("bad_batch", fmt.Sprintf("the batch has %d jobs", n), fmt.Sprintf("want 1 to %d", events.MaxBatch)))
		return
	}
	x := &batch{m: m, until: time.Now().Add(callTimeout), ids: make([]string, len(e.Jobs))}
	msgs := make([]*nats.Msg, 0, len(e.Jobs))
	made := false
	for i, job := range e.Jobs {
		if job.ID == "" {
			job.ID, made = ulid.Make().String(), true
		}
		x.ids[i] = job.ID
		jobType, header, script := FromCreate(job)
		r := CheckSubmission(jobType, header, script)
		if fault := m.Misspelt[i]; fault != nil {
			r = events.Malformed(fault)
		}
		if r != nil {
			r.Job = job.ID
			b.refuse(x, i, r)
			continue
		}
		x.jobs = append(x.jobs, i)
		msgs = append(msgs, &nats.Msg{Subject: submitSubject(b.c.bus.Prefix(), jobType), Header: header, Data: script})
	}
	if made {
		x.answer.Jobs = x.ids
	}
	if len(msgs) == 0 {
		b.finish(x)
		return
	}
	b.made++
	id := strconv.FormatUint(b.made, 10)
	b.in[id] = x
	head := b.inbox + "." + id + "." + strconv.Itoa(flow) + ".fail."
	for i, msg := range msgs {
		op := opAppend
		switch {
		case i == len(msgs)-1: // also of one alone
			op = opCommit
		case i == 0:
			op = opStart
		}
		msg.Reply = head + strconv.Itoa(i+1) + "." + strconv.Itoa(op) + ".$FI"
		if err := b.c.bus.Conn().PublishMsg(msg); err != nil {
			b.lost(id, err.Error())
			return
		}
	}
}

// word is something that the stream says of a batch.
func (b *batches) word(m *nats.Msg) {
	id, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, b.inbox+"."), ".")
	x := b.in[id]
	if x == nil {
		return // of a batch that has its answer
	}
	if len(m.Data) == 0 { // nobody listens: there is no stream
		b.lost(id, "the log is not there")
		return
	}
	var w struct {
		Type  string `json:"type"` // "ack", "gap" or "err"; none: the last word
		Count *int   `json:"count"`
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &w); err != nil {
		b.c.log.Warn("word of the log", "err", err)
		return
	}
	if w.Error != nil && x.fault == "" {
		x.fault = w.Error.Description
	}
	if w.Type != "" {
		return // a sign of life, or what the last word tells in full
	}
	stored := 0
	if w.Count != nil {
		stored = *w.Count
	}
	delete(b.in, id)
	x.answer.Accepted = min(stored, len(x.jobs))
	for _, i := range x.jobs[x.answer.Accepted:] {
		b.refuse(x, i, &events.Refusal{
			Status: http.StatusServiceUnavailable, Code: "not_accepted", Job: x.ids[i],
			Reason: "the log did not take it: " + x.fault, Hint: "try again; the daemon's log says why",
		})
	}
	b.finish(x)
}

func (b *batches) refuse(x *batch, i int, r *events.Refusal) {
	x.answer.Refused = append(x.answer.Refused, BatchRefusal{Index: i, Refusal: *r})
	b.c.refuse(events.Message{Event: events.JobBatch{}, On: x.m.On}, r)
}

func (b *batches) finish(x *batch) { b.c.answer(x.m, x.answer) }

// lost gives a batch up of which it is not known how much was stored.
func (b *batches) lost(id, reason string) {
	x := b.in[id]
	delete(b.in, id)
	b.c.refuse(x.m, &events.Refusal{
		Status: http.StatusServiceUnavailable, Code: "not_confirmed", Reason: "the log did not confirm the batch: " + reason,
		Hint: "send it again under the same ids: the same job again is the same job",
	})
}

func (b *batches) expire(now time.Time) {
	for id, x := range b.in {
		if now.After(x.until) {
			b.lost(id, "no answer within "+callTimeout.String())
		}
	}
}
