package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch"
	"herosup/dispatch/actor"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/events/embedded"
)

// storeEpoch is Redis' epoch in the runs without a daemon, which would raise it.
const storeEpoch = 1

func openStore(socket string) (*store.Store, error) {
	return store.Open(store.Options{URL: "unix://" + socket}, slog.New(slog.DiscardHandler))
}

// heroWorker is an actor of any Go program.
func heroWorker(r roleFlags, n *counter) (func(context.Context) error, error) {
	s, err := openStore(r.redis)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return actor.Run(ctx, actorConfig(r, s, func(ctx context.Context, j actor.Job) actor.Outcome {
			n.handle(ctx, j.ID, j.Script)
			return actor.Outcome{}
		}))
	}, nil
}

// storeSubmitter puts jobs into Redis without the log, in pipelines as the daemon
// does: what the log costs is the difference.
func storeSubmitter(ctx context.Context, r roleFlags) (submitting, error) {
	s, err := openStore(r.redis)
	if err != nil {
		return submitting{}, err
	}
	d := s.Daemon(storeEpoch)
	return submitting{
		end: s.Close,
		send: func(ctx context.Context, from, count int, payload string) error {
			batch := make([]store.Submission, count)
			for i := range batch {
				n := r.first + uint64(from+i) + 1
				batch[i] = store.Submission{ID: "j" + strconv.FormatUint(n, 10), Type: r.jobType, Script: payload, Sequence: n}
			}
			_, err := d.Accept(ctx, 0, batch)
			return err
		},
	}, nil
}

// asyncWindow is how many submissions may be under way.
const asyncWindow = 4096

// logSubmitter is a client of the daemon, with a submitter's rights: acknowledged is
// what the log has.
func logSubmitter(ctx context.Context, r roleFlags) (submitting, error) {
	nc, err := embedded.Dial(ctx, r.nats, r.keys, embedded.Submitter, nil)
	if err != nil {
		return submitting{}, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(asyncWindow))
	if err != nil {
		return submitting{}, err
	}
	options := func(i int) dispatch.Options {
		return dispatch.Options{ID: "j" + strconv.FormatUint(r.first+uint64(i)+1, 10), Delay: r.delay}
	}
	return submitting{
		end: func() error { nc.Close(); return nil },
		send: func(ctx context.Context, from, count int, payload string) error {
			for i := from; i < from+count; i++ {
				if _, _, _, err := dispatch.Submit(ctx, js, "", r.jobType, []byte(payload), options(i)); err != nil {
					return err
				}
			}
			return nil
		},
		stream: func(ctx context.Context, jobs int, payload string) error {
			acks := make([]jetstream.PubAckFuture, jobs)
			for i := range jobs {
				o := options(i)
				h := o.Header()
				h[jetstream.MsgIDHeader] = []string{o.ID}
				m := &nats.Msg{Subject: events.DefaultPrefix + ".cmd.job.submit." + r.jobType, Header: h, Data: []byte(payload)}
				if acks[i], err = js.PublishMsgAsync(m, jetstream.WithExpectStream(events.JobsStream), jetstream.WithStallWait(10*time.Second)); err != nil {
					return err
				}
			}
			for i, a := range acks {
				select {
				case <-a.Ok():
				case err := <-a.Err():
					return fmt.Errorf("job %d: %w", i, err)
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		},
	}, nil
}
