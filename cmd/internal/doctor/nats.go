package doctor

import (
	"context"
	"fmt"
	"net"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
	"herosup/events/external"
)

// lookNATS: the bus is a part of the daemon, or the user's own. Without a daemon, of
// the first only whether its address is free can be seen.
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
		w.ok(at.run.NATS + map[bool]string{true: " (of the daemon) answers", false: " (yours) answers"}[at.run.External == nil])
		return
	}
	if at.Config.NATS.URL != "" {
		lookExternal(ctx, at.Config.NATS.Access(), w)
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

// lookExternal: a server of the user's own has to let us in and hold streams.
func lookExternal(ctx context.Context, a external.Access, w *what) {
	nc, err := a.Dial(ctx, "herosup doctor", nil)
	if err != nil {
		w.bad(err.Error(), "start it, or correct nats.url and its credentials")
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = js.AccountInfo(ctx)
	}
	if err != nil {
		w.bad(external.Explain(err).Error(), "")
		return
	}
	w.ok(a.Public() + " (yours) answers, with JetStream")
}

// dial opens the bus of the running daemon. The caller closes it.
func dial(ctx context.Context, at scene) (*events.Bus, error) {
	nc, err := at.folder.Dial(ctx, at.run, "herosup doctor")
	if err != nil {
		return nil, err
	}
	b, err := events.NewBus(nc, events.Config{Prefix: at.run.Prefix, Source: "herosup/" + at.folder.ID + "/doctor"})
	if err != nil {
		nc.Close()
	}
	return b, err
}
