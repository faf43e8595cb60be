#!/usr/bin/env python3
"""A program of the original Hero protocol in python's standard library: what `protocol: hero` runs, for the tests.

It knows nothing of Herosup: BLPOP an id, read hero:job:<id>, run the script as python in this process, write status and
result, push a reply. HERO_STYLE=late writes them one by one and without a reply; =other waits on another list.
"""
import argparse, contextlib, io, json, os, socket, traceback, urllib.parse

a = argparse.ArgumentParser()
a.add_argument("--redis-url", required=True), a.add_argument("--actor-id", required=True)
a.add_argument("--type", default="osis")
o, style = a.parse_args(), os.environ.get("HERO_STYLE", "")
s = socket.socket(socket.AF_UNIX)
s.connect(urllib.parse.urlparse(o.redis_url).path)
r = s.makefile("rwb")

def redis(*words):
    words = [str(w).encode() for w in words]
    r.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)), r.flush()
    return answer()

def answer():
    kind, rest = (line := r.readline())[:1], line[1:-2].decode()
    if kind in (b"", b"-"): raise ConnectionError(rest or "Redis went away")
    if kind in b"+:" or rest == "-1": return rest if kind in b"+:" else None
    return [answer() for _ in range(int(rest))] if kind == b"*" else r.read(int(rest) + 2)[:-2].decode()

while True:
    popped = redis("BLPOP", f"hero:q:work:type:{'other' if style == 'other' else o.type}", 1)
    if not popped: continue
    key = "hero:job:" + popped[1]
    flat = redis("HGETALL", key)
    job = dict(zip(flat[::2], flat[1::2]))
    redis("HSET", key, "status", "started")
    out, names = io.StringIO(), {"CALLER_ID": job["caller_id"], "CONTEXT_ID": job["context_id"], "job": job}
    os.environ.update(json.loads(job.get("env_vars", "{}")))
    try:
        with contextlib.redirect_stdout(out): exec("print('pong', end='')" if job["script"] == "ping" else job["script"], names)
        end = ["status", "finished", "output", out.getvalue()]
    except Exception:
        end = ["status", "error", "error", traceback.format_exc()]
    if style == "late":
        redis("HSET", key, *end[:2]), redis("HSET", key, *end[2:])
    else:
        redis("HSET", key, *end), redis("LPUSH", "hero:q:reply:" + popped[1], end[3])
