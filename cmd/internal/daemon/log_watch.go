package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// logEvery is how often the log of jobs is looked for, beside each time that a connection is back.
const logEvery = 10 * time.Second

// logWatch tells when a NATS server of one's own has no log of jobs any more: one without a lasting folder comes back so, and
// accepts nothing. The server of ours tells that itself. It is not made anew under a daemon that works: what else was lost with it
// (epoch, dead jobs, schedules) is found out by a start.
type logWatch struct {
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}
}

func newLogWatch(bus *events.Bus, log *slog.Logger) *logWatch {
	w := &logWatch{bus: bus, log: log, ready: make(chan struct{})}
	close(w.ready)
	return w
}

// Ready is closed: the log was there a moment ago.
func (w *logWatch) Ready() <-chan struct{} { return w.ready }

// Run watches until ctx ends.
func (w *logWatch) Run(ctx context.Context) error {
	js, err := jetstream.New(w.bus.Conn())
	if err != nil {
		return err
	}
	back := w.bus.Conn().StatusChanged(nats.CONNECTED)
	defer w.bus.Conn().RemoveStatusListener(back)
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for lost := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-back:
		case <-tick.C:
		}
		look, end := context.WithTimeout(ctx, readyTimeout)
		_, err := js.Stream(look, events.JobsStream)
		end()
		switch gone := errors.Is(err, jetstream.ErrStreamNotFound); {
		case gone && !lost:
			lost = true
			e := events.LogLost{Reason: "the NATS server has no stream " + events.JobsStream + " any more; `herosup down` and `herosup up` make it anew, and jobs that Redis has go on"}
			w.log.Warn("log lost", "event", "LogLost", "reason", e.Reason)
			err = w.bus.Publish(e)
		case err == nil && lost:
			lost = false
			w.log.Info("log back", "event", "LogBack")
			err = w.bus.Publish(events.LogBack{})
		default: // a server that does not answer is no news here
			continue
		}
		if err != nil {
			w.log.Warn("tell how the log is", "err", err)
		}
	}
}
