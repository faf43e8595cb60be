package doctor

import (
	"context"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"

	"herosup/events"
	"herosup/events/embedded"
)

// lookNATS: the bus is a part of the daemon. Without one, only whether its address
// is free can be seen.
func lookNATS(ctx context.Context, at scene, w *what) {
	if at.told {
		bus, err := dial(ctx, at)
		if err != nil {
			w.bad(err.Error(), at.hangs())
			return
		}
		defer bus.Close()
		if err := bus.Flush(ctx); err != nil {
			w.bad(fmt.Sprintf("%s: %v", at.run.NATS, err), at.hangs())
			return
		}
		w.ok(at.run.NATS + " (of the daemon) answers")
		return
	}
	listen := at.Config.NATS.Listen
	if listen == "" {
		w.ok("comes with the daemon, on a free port of this machine")
		return
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		w.bad(fmt.Sprintf("the daemon can not listen: %v", err), "choose another nats.listen, or end who has it")
		return
	}
	_ = l.Close()
	w.ok(listen + " is free for the daemon")
}

// dial opens the bus of the running daemon. The caller closes it.
func dial(ctx context.Context, at scene) (*events.Bus, error) {
	nc, err := embedded.Dial(ctx, at.run.NATS, at.folder.Path("nats"), embedded.Operator, nil, nats.Name("herosup doctor"))
	if err != nil {
		return nil, err
	}
	b, err := events.NewBus(nc, events.Config{Prefix: at.run.Prefix, Source: "herosup/" + at.folder.ID + "/doctor"})
	if err != nil {
		nc.Close()
	}
	return b, err
}
