package doctor

import (
	"context"
	"fmt"
	"strings"

	"herosup/cmd/internal/redisd"
	"herosup/dispatch/store"
)

func lookRedis(ctx context.Context, at scene, w *what) {
	given := at.Config.Redis.URL
	if given == "" {
		given = redisd.FromEnv()
	}
	if given == "" && at.told && at.run.RedisKind == string(redisd.Given) {
		if strings.Contains(at.run.Redis, "xxxxx") { // see redisd.Public
			w.note(at.run.Redis+" is the daemon's; its password is not known here", "give the configuration with -f, or HEROSUP_REDIS_URL")
			return
		}
		given = at.run.Redis
	}
	o := redisd.Options{URL: given}
	if at.folder != nil {
		o.Socket, o.Dir = at.folder.Socket("redis"), at.folder.Path("redis")
	}
	c, err := redisd.Choose(o)
	if err != nil {
		w.bad(err.Error(), "correct redis.url")
		return
	}
	if c.Kind != redisd.Given && !at.told {
		// It may run as a service of a daemon that has ended; the next start uses it.
		w.ok(fmt.Sprintf("%s; the daemon starts it", c.Means))
		return
	}
	kind := string(c.Kind)
	if at.told && c.Kind != redisd.Given {
		kind = at.run.RedisKind
	}
	srv, err := serverAt(ctx, c.URL, at.Config.Redis.Prefix)
	if err != nil {
		w.bad(fmt.Sprintf("%s (%s): %v", redisd.Public(c.URL), kind, err), "start it, or correct redis.url; jobs wait in the log meanwhile")
		return
	}
	judgeRedis(w, fmt.Sprintf("%s (%s", redisd.Public(c.URL), kind), srv)
}

func serverAt(ctx context.Context, url, prefix string) (store.Server, error) {
	s, err := store.Open(store.Options{URL: url, Prefix: prefix}, nil)
	if err != nil {
		return store.Server{}, err
	}
	defer s.Close()
	return s.Bare().CheckServer(ctx)
}

// judgeRedis tells what the server's settings mean, as the daemon's own check does.
func judgeRedis(w *what, who string, srv store.Server) {
	if srv.Version != "" {
		who += ", version " + srv.Version
	}
	if srv.Policy != "" {
		who += ", " + srv.Policy
	}
	if srv.AppendOnly != "" {
		who += ", appendonly " + srv.AppendOnly
	}
	w.ok(who + ") answers")
	for _, f := range srv.Findings {
		if f.Bad {
			w.bad(f.Text, f.Hint)
		} else {
			w.note(f.Text, f.Hint)
		}
	}
}
