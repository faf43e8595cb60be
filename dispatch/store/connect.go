package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// urlForms is what a refused URL is answered with.
const urlForms = "want redis://host:port/db, unix:///path.sock?db=n, " +
	"for Sentinel redis://sentinel:26379/db?master_name=NAME&addr=sentinel2:26379, " +
	"for a Cluster redis://node:6379?addr=node2:6379 or ?cluster=true; rediss:// for TLS"

// CheckURL says what is wrong with a URL, without its password.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// parseURL reads the three forms of go-redis: one server, Sentinel (master_name) and Cluster (addr without
// master_name, or cluster=true for one seed). Of its options only those that say where and who are kept; the rest
// this package settles (see tune).
func parseURL(raw string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(raw)
	if err != nil { // its text would repeat the URL, password and all
		return nil, fmt.Errorf("redis url can not be read (%s)", urlForms)
	}
	q := u.Query()
	var o *redis.UniversalOptions
	switch u.Scheme {
	case "redis", "rediss":
		if u.Host == "" {
			return nil, fmt.Errorf("redis url %s: no host (%s)", bare(u), urlForms)
		}
		switch {
		case q.Has("master_name"):
			o, err = sentinelURL(raw)
		case q.Has("addr") || q.Get("cluster") == "true":
			q.Del("cluster")
			u.RawQuery = q.Encode()
			o, err = clusterURL(u.String())
		default:
			o, err = singleURL(raw)
		}
	case "unix":
		if u.Path == "" {
			return nil, fmt.Errorf("redis url %s: no path (%s)", bare(u), urlForms)
		}
		o, err = singleURL(raw)
	default:
		return nil, fmt.Errorf("redis url %s: scheme %q is unknown (%s)", bare(u), u.Scheme, urlForms)
	}
	if err != nil {
		return nil, fmt.Errorf("redis url %s: %s (%s)", bare(u), strings.TrimPrefix(err.Error(), "redis: "), urlForms)
	}
	return o, nil
}

// bare is a URL without what may be secret: passwords, also those among its options.
func bare(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

func singleURL(raw string) (*redis.UniversalOptions, error) {
	p, err := redis.ParseURL(raw)
	if err != nil {
		return nil, err
	}
	return &redis.UniversalOptions{
		Addrs: []string{p.Addr}, DB: p.DB, Username: p.Username, Password: p.Password, TLSConfig: p.TLSConfig, Protocol: p.Protocol,
	}, nil
}

func sentinelURL(raw string) (*redis.UniversalOptions, error) {
	p, err := redis.ParseFailoverURL(raw)
	if err != nil {
		return nil, err
	}
	if p.MasterName == "" {
		return nil, errors.New("master_name is empty")
	}
	return &redis.UniversalOptions{
		Addrs: p.SentinelAddrs, MasterName: p.MasterName, DB: p.DB, Username: p.Username, Password: p.Password,
		SentinelUsername: p.SentinelUsername, SentinelPassword: p.SentinelPassword, TLSConfig: p.TLSConfig, Protocol: p.Protocol,
	}, nil
}

func clusterURL(raw string) (*redis.UniversalOptions, error) {
	p, err := redis.ParseClusterURL(raw)
	if err != nil {
		return nil, err
	}
	return &redis.UniversalOptions{
		Addrs: p.Addrs, IsClusterMode: true, Username: p.Username, Password: p.Password, TLSConfig: p.TLSConfig, Protocol: p.Protocol,
	}, nil
}

// connection is how a client reaches Redis, and makes more of them.
type connection struct{ opts redis.UniversalOptions }

// connect settles what a URL leaves open.
func connect(o *redis.UniversalOptions, opts Options) connection {
	if opts.Password != "" {
		o.Password = opts.Password
	}
	if opts.SentinelPassword != "" {
		o.SentinelPassword = opts.SentinelPassword
	}
	// Nothing is repeated behind our back (callers pace themselves and tell of trouble), and deadlines hold:
	// research/nats.md 11. A Cluster's redirect is a repeat that go-redis can not do without; every script may be repeated.
	o.MaxRetries = -1
	o.MaxRedirects = 2
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.ReadTimeout, o.WriteTimeout, o.DialTimeout = cmp.Or(o.ReadTimeout, readTimeout), readTimeout, dialTimeout // read_timeout may stand in the URL
	o.PoolSize = poolSize
	o.ClientName = opts.ClientName
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case opts.Dial != nil:
		o.Dialer = opts.Dial
	case o.TLSConfig == nil:
		o.Dialer = dialer.DialContext
	}
	return connection{opts: *o}
}

// dialer finds a half-open connection by itself, within deadAfter and without a command of Redis': a blocked
// actor would else wait a minute at a peer that is gone.
var dialer = &net.Dialer{
	Timeout:         dialTimeout,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
}

func (c connection) sentinel() bool { return c.opts.MasterName != "" }
func (c connection) cluster() bool {
	return !c.sentinel() && (c.opts.IsClusterMode || len(c.opts.Addrs) > 1)
}

// moves says that the server that answers may be another one tomorrow.
func (c connection) moves() bool { return c.sentinel() || c.cluster() }

// client makes one for calls that do not block. go-redis normalises options in place: each client gets a copy.
func (c connection) client() redis.UniversalClient {
	o := c.opts
	return redis.NewUniversalClient(&o)
}

// node is the server that has the keys: in a Cluster the one with their slot, for what is about a server and not
// about a key (INFO, SCAN).
func (s *Store) node(ctx context.Context) (redis.UniversalClient, error) {
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, s.keys.epoch().name)
	}
	return s.rdb, nil
}

// checkPrefix refuses a prefix that would scatter the keys over a Cluster.
func (c connection) checkPrefix(prefix string) error {
	if c.cluster() && !strings.HasPrefix(prefix, "{") {
		return fmt.Errorf("open redis: prefix %q on a Redis Cluster: scripts need all keys in one slot; set redis.prefix to %q", prefix, "{"+prefix+"}")
	}
	return nil
}
