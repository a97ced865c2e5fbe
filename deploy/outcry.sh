#!/bin/sh
# Guests of Aurora Hotels complain, three a second: mentions to publish when trying it out, one a line.
#   sh deploy/outcry.sh [HOW MANY, 600]
seq 1 "${1:-600}" | while read -r n; do
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    printf '{"id": "outcry-%s-%s", "source": "twitter", "published_at": "%s", "author": {"id": "guest-%s"}, "text": "%s"}\n' \
        "$$" "$n" "$now" "$n" "Aurora Hotels lost my booking, nobody answers, worst night ever. Avoid."
    sleep 0.3
done
