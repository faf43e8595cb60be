package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"herosup/events"
)

// Submit publishes a script as a job and returns when the log has it: from then on
// it will run. prefix is the subjects' first token ("" means the default). seq is
// its place in the log; known says that the log has had a message of this id
// within the last two minutes. The error is a
// *events.Refusal if the job is not well formed (nothing was sent), or says why the
// log did not take it. js may be of any role that may submit.
func Submit(ctx context.Context, js jetstream.JetStream, prefix, jobType string, script []byte, o Options) (id string, seq uint64, known bool, err error) {
	// The log drops a message whose id it remembers, and can not know whether that is a job still: it may have been refused,
	// or removed. The intake can, and takes the same job again for the same job.
	given := o.ID != ""
	if !given {
		o.ID = ulid.Make().String()
	}
	h := o.Header()
	seq, known, err = submit(ctx, js, prefix, jobType, h, script, o.ID)
	if given && known {
		seq, _, err = submit(ctx, js, prefix, jobType, h, script, "")
	}
	return o.ID, seq, known, err
}

// SubmitOnce is Submit for somebody who has the options as headers, and whose ids are of one submission each: what
// comes again within two minutes is taken for a repeat, and seq is the first one's. h is left as it is; id is the job's.
func SubmitOnce(ctx context.Context, js jetstream.JetStream, prefix, jobType, id string, h nats.Header, script []byte) (seq uint64, err error) {
	own := nats.Header{}
	for name, values := range h {
		own[name] = values
	}
	own[HeaderJobID] = []string{id}
	seq, _, err = submit(ctx, js, prefix, jobType, own, script, id)
	return seq, err
}

func submit(ctx context.Context, js jetstream.JetStream, prefix, jobType string, h nats.Header, script []byte, messageID string) (seq uint64, known bool, err error) {
	if prefix == "" {
		prefix = events.DefaultPrefix
	}
	id := h.Get(HeaderJobID)
	delete(h, jetstream.MsgIDHeader)
	if messageID != "" {
		h[jetstream.MsgIDHeader] = []string{messageID}
	}
	if r := CheckSubmission(jobType, h, script); r != nil {
		r.Job = id
		return 0, false, r
	}
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: submitSubject(prefix, jobType), Header: h, Data: script},
		jetstream.WithExpectStream(events.JobsStream))
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return 0, false, fmt.Errorf("submit job %s: %w", id, events.ErrNobody)
	case err != nil:
		return 0, false, fmt.Errorf("submit job %s: %w", id, err)
	}
	return ack.Sequence, ack.Duplicate, nil
}

func submitSubject(prefix, jobType string) string { return prefix + ".cmd.job.submit." + jobType }
