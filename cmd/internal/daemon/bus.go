package daemon

import (
	"context"

	"herosup/events"
	"herosup/events/embedded"
	"herosup/events/external"
)

// server is the NATS server that the bus is on.
type server interface {
	// Connect opens the Bus of one component.
	Connect(component string) (*events.Bus, error)
	// URL is where others connect, without passwords.
	URL() string
	Stop()
}

func (d *Daemon) startBus(ctx context.Context) (err error) {
	if d.nats, err = d.startNATS(ctx); err != nil {
		return err
	}
	b, err := d.nats.Connect("daemon")
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if d.external() == nil {
		return events.EnsureStreams(ctx, b)
	}
	if err := events.EnsureReplicas(ctx, b, d.cfg.NATS.Replicas); err != nil {
		return external.Explain(err)
	}
	return external.Claim(ctx, b, d.folder.ID)
}

// startNATS runs our own server, or looks at the one given.
func (d *Daemon) startNATS(ctx context.Context) (server, error) {
	if a := d.external(); a != nil {
		s, err := external.Open(ctx, *a, d.folder.ID, d.log)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	interval, always, err := d.cfg.NATS.SyncInterval()
	if err != nil {
		return nil, err
	}
	s, err := embedded.Start(embedded.Config{
		Dir: d.folder.Path("nats"), Listen: d.cfg.NATS.Listen, State: d.folder.ID,
		SyncInterval: interval, SyncAlways: always, Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// external is how to reach a server that is not ours; nil is ours.
func (d *Daemon) external() *external.Access {
	if d.cfg.NATS.URL == "" {
		return nil
	}
	a := d.cfg.NATS.Access()
	return &a
}
