{{/*
The config as YAML: what the values say, over what must be so in a pod. Whatever would not start, or would put a secret
where everybody reads it, is refused here, before anything is installed.
*/}}
{{- define "sidestream.config" -}}
{{- $given := include "sidestream.given" .Values.config | fromJson -}}
{{- include "sidestream.refuseUnfinished" (list . $given) -}}
{{- include "sidestream.refuseSecrets" $given -}}
{{- $http := dict "listen" "0.0.0.0:8080" -}}
{{- /* Beside a service a NATS outage must not take the service out of rotation. */ -}}
{{- $ops := dict "listen" "0.0.0.0:9090" "readyNeedsNats" (ne .Values.mode "sidecar") -}}
{{- $nats := dict -}}
{{- if .Values.nats.enabled -}}
{{- $nats = dict "servers" (list (printf "nats://%s:4222" (include "sidestream.nats.fullname" .))) -}}
{{- end -}}
{{- $config := mustMergeOverwrite (dict "http" $http "ops" $ops "nats" $nats) $given -}}
{{- include "sidestream.refuseUnreachable" $config -}}
{{- toYaml $config -}}
{{- end -}}

{{/* A mapping as JSON, without the keys that were left empty: those count as not given. */}}
{{- define "sidestream.given" -}}
{{- $given := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $given $key (include "sidestream.given" $value | fromJson) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $given $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $given -}}
{{- end -}}

{{/* A list of the root and the config. */}}
{{- define "sidestream.refuseUnfinished" -}}
{{- $config := index . 1 -}}
{{- with index . 0 -}}
{{- if not $config.channels -}}
{{- fail "\n\nconfig.channels is empty: nobody would be served anything. Name at least one route, for example\n\n  config:\n    channels:\n      prices:\n        channel: prices.{symbol}\n        subject: market.prices.{symbol}\n        access: public\n\ndocs/kubernetes.md leads from nothing to a protected channel.\n" -}}
{{- end -}}
{{- if not (or .Values.nats.enabled (dig "nats" "servers" "" $config)) -}}
{{- fail "\n\nconfig.nats.servers is not set: in a pod there is no NATS at 127.0.0.1. Name yours, like nats://nats.nats.svc:4222, or set nats.enabled=true for a server to try out with.\n" -}}
{{- end -}}
{{- if eq .Values.mode "sidecar" -}}
{{- range $key, $part := pick .Values "autoscaling" "networkPolicy" -}}
{{- if $part.enabled -}}
{{- fail (printf "\n\n%s.enabled would do nothing: with mode sidecar the pods are those of your own chart, and so is what scales and guards them.\n" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.mode "sidecar") .Values.podSpec -}}
{{- fail "\n\npodSpec would do nothing: with mode sidecar the pods are those of your own chart.\n" -}}
{{- end -}}
{{- if and (eq .Values.mode "sidecar") (not .Values.sidecar.podLabels) (or .Values.httpRoute.enabled .Values.ingress.enabled) -}}
{{- fail "\n\nsidecar.podLabels is empty: there is no Service that httpRoute or ingress could lead to. Name the labels of the pods that have the container.\n" -}}
{{- end -}}
{{- /* Whoever mounts something else may mount it there. */ -}}
{{- if not .Values.extraVolumeMounts -}}
{{- $mounted := default dict .Values.secretFiles -}}
{{- range regexFindAll "\"/run/secrets/[^/\"]+/" (toJson $config) -1 -}}
{{- $name := . | trimPrefix "\"/run/secrets/" | trimSuffix "/" -}}
{{- if not (hasKey $mounted $name) -}}
{{- fail (printf "\n\nconfig names a file in /run/secrets/%s, and nothing is mounted there. Name the Secret that has it:\n\n  secretFiles:\n    %s: { secret: MY-SECRET }\n" $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not .Values.envFrom -}}
{{- $known := keys (default dict .Values.secretEnv) -}}
{{- range .Values.env -}}
{{- $known = append $known .name -}}
{{- end -}}
{{- /* `$${` is how a config writes `${` itself. */ -}}
{{- range regexFindAll "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}" (toJson $config | replace "$${" "") -1 -}}
{{- $name := trimSuffix "}" (trimPrefix "${" .) -}}
{{- if not (has $name (append $known "HOSTNAME")) -}}
{{- fail (printf "\n\nconfig uses %s, and nothing sets it. Name the Secret that has it:\n\n  secretEnv:\n    %s: { secret: MY-SECRET, key: MY-KEY }\n" . $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Values end up in a ConfigMap and in the release: no place for a secret. */}}
{{- define "sidestream.refuseSecrets" -}}
{{- $config := . -}}
{{- $found := dict
  "ops.token" (dig "ops" "token" "" $config)
  "nats.auth.token" (dig "nats" "auth" "token" "" $config)
  "nats.auth.password" (dig "nats" "auth" "password" "" $config)
  "auth.introspection.clientSecret" (dig "auth" "introspection" "clientSecret" "" $config) -}}
{{- /* A list may be written as its only item. */ -}}
{{- $issuers := dig "auth" "jwt" list $config -}}
{{- range $i, $issuer := kindIs "slice" $issuers | ternary $issuers (list $issuers) -}}
{{- $keys := default list $issuer.keys -}}
{{- range $j, $key := kindIs "slice" $keys | ternary $keys (list $keys) -}}
{{- $_ := set $found (printf "auth.jwt[%d].keys[%d].secret" $i $j) $key.secret -}}
{{- if contains "PRIVATE KEY" (toString $key.publicKey) -}}
{{- $_ := set $found (printf "auth.jwt[%d].keys[%d].publicKey" $i $j) $key.publicKey -}}
{{- end -}}
{{- /* RFC 7518 6: what is secret in a key: its value, or the private part. */ -}}
{{- if kindIs "map" $key.jwk -}}
{{- $_ := set $found (printf "auth.jwt[%d].keys[%d].jwk.k" $i $j) $key.jwk.k -}}
{{- $_ := set $found (printf "auth.jwt[%d].keys[%d].jwk.d" $i $j) $key.jwk.d -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $path, $value := $found -}}
{{- if and $value (not (regexMatch "^\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$" (toString $value))) -}}
{{- fail (printf "\n\nconfig.%s holds a secret: everybody who may read the ConfigMap would read it. Put it into a Secret, write ${NAME} here, and\n\n  secretEnv:\n    NAME: { secret: MY-SECRET, key: MY-KEY }\n\nor use a …File key with secretFiles.\n" $path) -}}
{{- end -}}
{{- end -}}
{{- $servers := dig "nats" "servers" list $config -}}
{{- range kindIs "slice" $servers | ternary $servers (list $servers) -}}
{{- if contains "@" (toString .) -}}
{{- fail "\n\nconfig.nats.servers holds a login: it belongs under config.nats.auth, by reference.\n" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The kubelet and the Service come from outside the pod. */}}
{{- define "sidestream.refuseUnreachable" -}}
{{- range $key, $part := dict "http" .http "ops" .ops -}}
{{- if regexMatch "^(127\\.|localhost|\\[::1\\])" (toString $part.listen) -}}
{{- fail (printf "\n\nconfig.%s.listen is %s: nobody outside the pod would reach it, the kubelet's probes neither. Leave it out, or write 0.0.0.0 and a port.\n" $key $part.listen) -}}
{{- end -}}
{{- if regexMatch "(^|:)0+$" (toString $part.listen) -}}
{{- fail (printf "\n\nconfig.%s.listen is %s: port 0 is whichever is free, and the Service and the probes have to know it. Leave it out, or write a port.\n" $key (toString $part.listen)) -}}
{{- end -}}
{{- end -}}
{{- $port := regexFind "[1-9][0-9]*$" (toString .http.listen) -}}
{{- if and $port (eq $port (regexFind "[1-9][0-9]*$" (toString .ops.listen))) -}}
{{- fail (printf "\n\nconfig.http.listen and config.ops.listen have one port, %s: metrics, probes and the control plane need their own, which nobody is routed to. Write another for one of them.\n" $port) -}}
{{- end -}}
{{- if regexMatch "^[0-9]+$" (toString .ops.listen) -}}
{{- fail (printf "\n\nconfig.ops.listen is %s: a port alone is that of 127.0.0.1, where the kubelet's probes do not come. Write 0.0.0.0:%s.\n" (toString .ops.listen) (toString .ops.listen)) -}}
{{- end -}}
{{- end -}}

{{/* The port in a `listen`: a list of the root and `http` or `ops`. */}}
{{- define "sidestream.port" -}}
{{- $config := include "sidestream.config" (index . 0) | fromYaml -}}
{{- $listen := toString (index $config (index . 1)).listen -}}
{{- if not (regexMatch "[0-9]+$" $listen) -}}
{{- fail (printf "\n\nconfig.%s.listen is %s: write the port itself, which the Service and the probes have to know.\n" (index . 1) $listen) -}}
{{- end -}}
{{- regexFind "[0-9]+$" $listen -}}
{{- end -}}

{{/* Where the config changes, this does. */}}
{{- define "sidestream.checksum" -}}
{{- include "sidestream.config" . | sha256sum -}}
{{- end -}}

{{/* A duration as the config has it → whole seconds, rounded up. `0` is at once. */}}
{{- define "sidestream.seconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- if not (regexMatch "^([0-9]+(ms|s|m|h|d)|0)$" $text) -}}
{{- fail (printf "\n\nconfig.drain.timeout is %s, and pods are given as long to end: write it like 250ms, 15s or 10m, or set lifecycle.terminationGracePeriodSeconds.\n" $text) -}}
{{- else if eq $unit "ms" -}}
{{- div (add $number 999) 1000 -}}
{{- else -}}
{{- mul $number (get (dict "" 1 "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.drainSeconds" -}}
{{- include "sidestream.seconds" (dig "drain" "timeout" "25s" (include "sidestream.config" . | fromYaml)) -}}
{{- end -}}

{{/* How long the pod has to end: what it sleeps, what it drains, and a margin. 25s is the drain's default. */}}
{{- define "sidestream.gracePeriodSeconds" -}}
{{- $given := .Values.lifecycle.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- add .Values.lifecycle.preStopSleep (include "sidestream.drainSeconds" .) .Values.lifecycle.margin -}}
{{- else -}}
{{- $given -}}
{{- end -}}
{{- end -}}
