package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"herosup/events"
)

// part is one component with the Bus it speaks with.
type part struct {
	name   string
	bus    *events.Bus
	cancel context.CancelFunc
	done   chan struct{} // closed after its Run has returned
	err    error         // what Run returned; read it after done
}

// component is what every component is.
type component interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}
}

// startPart connects a component and waits until it is ready.
func (d *Daemon) startPart(ctx context.Context, name string, build func(*events.Bus) (component, error)) error {
	bus, err := d.nats.Connect(name)
	if err != nil {
		return err
	}
	c, err := build(bus)
	if err != nil {
		bus.Close()
		return fmt.Errorf("start %s: %w", name, err)
	}
	// Its life ends when we say so, in our order, not when ctx does.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, bus: bus, cancel: cancel, done: make(chan struct{})}
	d.parts = append(d.parts, p)
	go func() {
		defer close(p.done)
		if p.err = c.Run(own); own.Err() == nil {
			d.ended <- p
		}
	}()
	t := time.NewTimer(readyTimeout)
	defer t.Stop()
	select {
	case <-c.Ready():
		return nil
	case <-p.done:
		return fmt.Errorf("start %s: %w", name, p.err)
	case <-t.C:
		return fmt.Errorf("start %s: not ready after %s", name, readyTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stopPart ends one component and waits for it.
func (d *Daemon) stopPart(name string) {
	i := slices.IndexFunc(d.parts, func(p *part) bool { return p.name == name })
	if i < 0 {
		return
	}
	p := d.parts[i]
	d.parts = slices.Delete(d.parts, i, i+1)
	p.cancel()
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-p.done:
		if p.err != nil && !errors.Is(p.err, context.Canceled) {
			d.log.Error("component ended", "component", p.name, "err", p.err)
		}
	case <-t.C:
		d.log.Error("component did not stop", "component", p.name, "dur", stopTimeout)
	}
	p.bus.Close()
}

// stopParts ends all components, the last started first.
func (d *Daemon) stopParts() {
	for len(d.parts) > 0 {
		d.stopPart(d.parts[len(d.parts)-1].name)
	}
}

func (d *Daemon) poolNames() string {
	var names []string
	for n := range d.cfg.Pools {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none (no interpreter found: install bash or python3, or configure a pool)"
	}
	return strings.Join(names, " ")
}
