package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// maxBatch and minBatch bound one pipeline of accepts. Within them its size
	// follows Redis' speed, so that a pipeline takes about batchTime: its answers,
	// and with them the facts, come together at its end.
	maxBatch  = 256
	minBatch  = 8
	batchTime = 50 * time.Millisecond
	// maxPullBytes bounds what the server sends ahead, scripts being up to 1 MiB.
	maxPullBytes = 16 << 20
	// refillLook is how often a refill looks whether the log has anything left for it: its last message may be deleted
	// before it is read, as the job has ended.
	refillLook = 500 * time.Millisecond
	// aheadBuffer is what waits behind the batch in hand.
	aheadBuffer = 64
	// maxDiscards bounds the refused messages that could not be deleted yet; more
	// are left to the next refill, which refuses them again.
	maxDiscards = 10_000
)

var (
	errGap    = errors.New("messages of the log were not accepted")
	errReader = errors.New("the reader of the log ended")
)

// intake reads the log and puts it into Redis. It alone moves the position and the
// epoch.
type intake struct {
	c        *Component
	r        *reporter
	from     start
	size     int      // of the next pipeline at most
	seen     uint64   // sequence of the last message that was read
	discards []uint64 // refused or doubled messages that are to be deleted
}

// runIntake reads until ctx ends. Redis away stops it in the middle of a batch,
// and with it the reading: what was not accepted stays in the log.
func (c *Component) runIntake(ctx context.Context, r *reporter, from start) error {
	in := &intake{c: c, r: r, from: from, size: maxBatch / 4}
	retry := pace{}
	for {
		before := in.from.after
		err := in.read(ctx)
		var owner *OwnerError
		var server *ServerError
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil: // in.from says where to go on
			continue
		case errors.As(err, &owner), errors.As(err, &server):
			return err
		case errors.Is(err, store.ErrNoEpoch):
			s, ok, err := c.checkEpoch(ctx, r)
			if ok && err == nil {
				in.from = s
			}
			if errors.As(err, &owner) {
				return err
			}
		case errors.Is(err, errGap):
			c.log.Warn("read the log again", "reason", err.Error())
			if in.from.refill != nil {
				in.from.after = 0
			} else if in.from, err = c.resume(ctx, r); err != nil {
				return nil
			}
		default:
			c.log.Warn("read the log", "err", err)
		}
		if in.from.after != before {
			retry.reset()
		}
		if !pause(ctx, retry.next()) {
			return nil
		}
	}
}

// read accepts what comes from in.from on, until something makes it begin anew.
func (in *intake) read(ctx context.Context) error {
	back := in.c.bus.Conn().StatusChanged(nats.CONNECTED) // to a server that may have another end of the log
	defer in.c.bus.Conn().RemoveStatusListener(back)
	if !in.c.looked() { // it was back before this listened
		if anew, err := in.lookAtLog(ctx); anew || err != nil {
			return err
		}
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	msgs := make(chan jetstream.Msg, aheadBuffer)
	cons, err := in.c.consume(reading, in.from.after+1, false, msgs)
	if err != nil {
		return err
	}
	closed := cons.Closed() // starts a goroutine, so once
	defer func() {
		stop() // lets a handler that waits go
		cons.Stop()
		<-closed
	}()
	if f := in.from.refill; f != nil && f.until == 0 {
		in.refilled(ctx)
	}
	tick := time.NewTicker(refillLook)
	defer tick.Stop()
	in.seen = in.from.after
	for {
		look := tick.C
		if in.from.refill == nil {
			look = nil
		}
		select {
		case <-look:
			in.lookForEnd(ctx)
		case m := <-msgs:
			if err := in.take(ctx, in.batch(m, msgs)); err != nil {
				return err
			}
		case <-back:
			if anew, err := in.lookAtLog(ctx); anew || err != nil {
				return err
			}
		case <-in.c.rebuildNow:
			s, ok, err := in.c.checkEpoch(ctx, in.r)
			if err != nil {
				return err
			}
			if ok {
				in.from = s
				return nil
			}
		case <-closed:
			return errReader
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lookAtLog looks whether the log has lost its end: anew says that in.from is where to go on then.
func (in *intake) lookAtLog(ctx context.Context) (anew bool, err error) {
	s, anew, err := in.c.checkLog(ctx, in.r)
	if anew && err == nil {
		in.from, in.discards = s, nil // by their numbers: another may have one of them by now, and the refused are read again
	}
	return anew, err
}

// lookForEnd ends a refill that has read all that the log has.
func (in *intake) lookForEnd(ctx context.Context) {
	_ = limited(ctx, func(ctx context.Context) error { // trouble with the log is the reader's to tell
		last, err := in.c.lastLogged(ctx)
		if err == nil && last <= in.seen {
			in.refilled(ctx)
		}
		return err
	})
}

// consume starts an ordered consumer, from a sequence on: one reader's own, without acknowledgements,
// which the library makes anew after a gap. bare: without the messages' bodies.
func (c *Component) consume(ctx context.Context, from uint64, bare bool, msgs chan<- jetstream.Msg) (jetstream.ConsumeContext, error) {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: bare}
	if from > 1 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	}
	var cons jetstream.Consumer
	err := limited(ctx, func(ctx context.Context) (err error) {
		if cons, err = c.stream.OrderedConsumer(ctx, cfg); err != nil {
			return &logError{"read the log", err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cc, err := cons.Consume(func(m jetstream.Msg) {
		select {
		case msgs <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(maxBatch, maxPullBytes), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		c.log.Debug("reader of the log", "err", err)
	}))
	if err != nil {
		return nil, &logError{"read the log", err}
	}
	return cc, nil
}

// eachLogged reads the messages' heads, without their bodies, from one that the log had to another.
func (c *Component) eachLogged(ctx context.Context, from, until uint64, do func(seq uint64, m jetstream.Msg)) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	msgs := make(chan jetstream.Msg, aheadBuffer)
	cons, err := c.consume(reading, from, true, msgs)
	if err != nil {
		return err
	}
	defer cons.Stop()
	silence := time.NewTimer(callTimeout)
	defer silence.Stop()
	for at := uint64(0); at < until; {
		select {
		case m := <-msgs:
			md, err := m.Metadata()
			if err != nil {
				return &logError{"read the log", err}
			}
			at = md.Sequence.Stream
			if md.NumPending == 0 {
				until = at
			}
			do(at, m)
			silence.Reset(callTimeout)
		case <-silence.C:
			return &logError{"read the log", fmt.Errorf("nothing came for %s", callTimeout)}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// batch takes what is there already; it never waits for more, since one message
// alone must be accepted at once.
func (in *intake) batch(first jetstream.Msg, msgs <-chan jetstream.Msg) []jetstream.Msg {
	all := []jetstream.Msg{first}
	for len(all) < in.size {
		select {
		case m := <-msgs:
			all = append(all, m)
		default:
			return all
		}
	}
	return all
}

// nextSize fits the size of a pipeline to the time that one of n took.
func nextSize(size, n int, took time.Duration, err error) int {
	switch {
	case took > 2*batchTime || err != nil:
		size /= 2
	case took < batchTime && n == size: // a small one says nothing
		size *= 2
	}
	return min(max(size, minBatch), maxBatch)
}

// item is one message on its way in.
type item struct {
	subject string
	sub     store.Submission
	refusal *events.Refusal
	ended   bool // while Redis was refilled: it is known to have ended
	twice   bool // and this is a later message of such a job; or another has its place
	last    bool // nothing was behind it in the log when it was sent
}

// typeOf is the script type in the subject of a message of the log.
func typeOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

func (in *intake) item(m jetstream.Msg) (item, error) {
	md, err := m.Metadata()
	if err != nil {
		return item{}, &logError{"read the log", err}
	}
	subject := m.Subject()
	it := item{subject: subject, last: md.NumPending == 0}
	jobType := typeOf(subject)
	header, again := isAgain(in.c.againSecret, jobType, m.Headers(), m.Data())
	it.sub, it.refusal = logged{
		Type: jobType, Header: header, Script: m.Data(),
		Stream: md.Stream, Sequence: md.Sequence.Stream, Time: md.Timestamp,
	}.submission(in.c.cfg.defaultsOf(strings.ToLower(jobType)))
	it.sub.Again = again
	return it, nil
}
