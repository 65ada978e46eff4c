#!/bin/bash
# Fetches an Apache Kafka for tests, the real one, from Maven's central repository, and keeps it outside of the working copy.
# Prints one line: "here FOLDER", where its jars are, or "missing WHY".
set -euo pipefail

version=4.1.1
log4j=2.24.3 # Kafka brings it, but not what lets Kafka write with it
cache=${VEDETTE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vedette}/kafka

java_is_new_enough() {
    local major
    major=$(java -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')
    [ -n "$major" ] && [ "$major" -ge 17 ]
}

command -v java >/dev/null || { echo "missing there is no java (Debian: openjdk-17-jre-headless)"; exit; }
java_is_new_enough || { echo "missing Kafka 4 runs on Java 17 or newer, and this is $(java -version 2>&1 | head -n 1)"; exit; }

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
to=$cache/$version-log4j-$log4j
if [ ! -d "$to" ]; then
    command -v mvn >/dev/null || { echo "missing there is no mvn to fetch Kafka with (Debian: maven)"; exit; }
    # Nobody else is at it: what lies half made is from a run that was killed.
    rm -rf "$cache"/.new-*
    new=$(mktemp -d "$cache/.new-XXXXXX")
    cat >"$new/pom.xml" <<EOT
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>vedette</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j</version></dependency>
  </dependencies>
</project>
EOT
    if ! mvn -B -q -f "$new/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new" -DincludeScope=runtime >"$new/log" 2>&1; then
        echo "missing Kafka $version cannot be fetched: $(grep -m 1 ERROR "$new/log" || tail -n 1 "$new/log")"
        rm -rf "$new"
        exit
    fi
    rm -f "$new/log" "$new/pom.xml"
    mv "$new" "$to"
fi
echo "here $to"
