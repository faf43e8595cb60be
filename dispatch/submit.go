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
// its place in the log; duplicate says that the log took a message of this id
// within the last two minutes, and seq is that one's. The error is a
// *events.Refusal if the job is not well formed (nothing was sent), or says why the
// log did not take it. js may be of any role that may submit.
func Submit(ctx context.Context, js jetstream.JetStream, prefix, jobType string, script []byte, o Options) (id string, seq uint64, duplicate bool, err error) {
	if o.ID == "" {
		o.ID = ulid.Make().String()
	}
	seq, duplicate, err = submit(ctx, js, prefix, jobType, o.Header(), script, o.ID)
	return o.ID, seq, duplicate, err
}

// SubmitHeader is Submit for somebody who has the options as headers. h is left as
// it is; id is the job's.
func SubmitHeader(ctx context.Context, js jetstream.JetStream, prefix, jobType, id string, h nats.Header, script []byte) (seq uint64, duplicate bool, err error) {
	own := nats.Header{}
	for name, values := range h {
		own[name] = values
	}
	own[HeaderJobID] = []string{id}
	return submit(ctx, js, prefix, jobType, own, script, id)
}

func submit(ctx context.Context, js jetstream.JetStream, prefix, jobType string, h nats.Header, script []byte, id string) (uint64, bool, error) {
	if prefix == "" {
		prefix = events.DefaultPrefix
	}
	h[jetstream.MsgIDHeader] = []string{id}
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
