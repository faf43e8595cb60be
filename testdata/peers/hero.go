package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"herosup/dispatch/actor"
	"herosup/dispatch/client"
	"herosup/dispatch/store"
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

// logSubmitter is a client of the daemon, with a submitter's rights: acknowledged is
// what the log has. It is the public client, with its defaults.
func logSubmitter(ctx context.Context, r roleFlags) (submitting, error) {
	c, err := client.Connect(ctx, client.Config{URL: r.nats, KeyFile: embedded.KeyFile(r.keys, embedded.Submitter)})
	if err != nil {
		return submitting{}, err
	}
	options := func(i int) client.Options {
		return client.Options{ID: "j" + strconv.FormatUint(r.first+uint64(i)+1, 10), Delay: r.delay}
	}
	return submitting{
		end: func() error { c.Close(); return nil },
		send: func(ctx context.Context, from, count int, payload string) error {
			for i := from; i < from+count; i++ {
				if _, err := c.Submit(ctx, r.jobType, payload, options(i)); err != nil {
					return err
				}
			}
			return nil
		},
		stream: func(ctx context.Context, from, jobs int, payload string) error {
			b, err := c.Batch(client.BatchConfig{})
			if err != nil {
				return err
			}
			defer b.Close()
			for i := from; i < from+jobs; i++ {
				if _, err := b.Add(ctx, r.jobType, payload, options(i)); err != nil {
					return err
				}
			}
			n, err := b.Flush(ctx)
			if err == nil && n.Accepted != jobs {
				err = fmt.Errorf("%d accepted, %d refused, %d unconfirmed of %d jobs", n.Accepted, n.Refused, n.Unconfirmed, jobs)
			}
			return err
		},
	}, nil
}
