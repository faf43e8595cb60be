package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"herosup/cmd/internal/daemon"
	"herosup/zinit"
)

func lookZinit(ctx context.Context, at scene, w *what) {
	setting, own := at.Config.Zinit.Socket, ""
	if at.folder != nil {
		own = at.folder.Socket("zinit")
	}
	if at.told {
		setting = at.run.Zinit
	}
	z, passed, err := daemon.LookForZinit(ctx, setting, own)
	for _, err := range passed {
		w.note("passed over: "+err.Error(), "name the one to use as zinit: {socket: PATH}")
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		w.bad(err.Error(), "it listens and does not answer: look at its process, which may be stopped or overloaded")
		return
	case err != nil:
		w.bad(err.Error(), "start it, or leave zinit.socket out of the configuration: then ours is started")
		return
	case z == nil:
		w.ok("none answers; the daemon starts ours")
		return
	}
	defer z.Close()
	seen, err := introduce(ctx, z)
	if err != nil {
		w.bad(fmt.Sprintf("%s: %v", z.Socket(), err), "see `herosup zinit list --socket "+z.Socket()+"`")
		return
	}
	w.ok(seen.String())
}

// acquaintance is what a zinit tells about itself.
type acquaintance struct {
	socket   string
	dialect  zinit.Dialect
	version  string // "" when it does not tell
	ours     bool
	services int
}

func introduce(ctx context.Context, z *zinit.Client) (acquaintance, error) {
	a := acquaintance{socket: z.Socket()}
	list, err := z.List(ctx)
	if err != nil {
		return a, err
	}
	a.services = len(list)
	if a.dialect, err = z.Dialect(ctx); err != nil {
		return a, err
	}
	doc, err := z.Discover(ctx)
	if err != nil {
		return a, nil //nolint:nilerr // the older ones know no such call, and work
	}
	var about struct {
		Info struct{ Title, Version string }
	}
	if json.Unmarshal(doc, &about) == nil {
		a.ours, a.version = about.Info.Title == zinit.Title, about.Info.Version
	}
	return a, nil
}

func (a acquaintance) String() string {
	whose, version := "not ours", ""
	if a.ours {
		whose = "ours"
	}
	if a.version != "" {
		version = ", interface " + a.version
	}
	return fmt.Sprintf("%s answers (%s, dialect %s%s, services: %d)", a.socket, whose, a.dialect, version, a.services)
}
