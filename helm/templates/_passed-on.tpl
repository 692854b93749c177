{{/*
Fields that are passed on as they are: a list of their mapping, its name in the values, and by name the fields that the chart sets
itself, with what to do instead: those would stand in the object twice.
*/}}
{{- define "sidestream.passedOn" -}}
{{- $given := default dict (index . 0) -}}
{{- $name := index . 1 -}}
{{- range $field, $instead := index . 2 -}}
{{- if hasKey $given $field -}}
{{- fail (printf "\n\n%s.%s is the chart's own: %s.\n" $name $field $instead) -}}
{{- end -}}
{{- end -}}
{{- with $given -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* What podSpec says of the bridge's pods. */}}
{{- define "sidestream.podSpec" -}}
{{- $own := dict
  "automountServiceAccountToken" "it stays false, since nothing in the pod asks Kubernetes"
  "enableServiceLinks" "it stays false, since ${NAME} in config might be filled with what it sets"
  "containers" "write extraContainers"
  "volumes" "write extraVolumes"
  "serviceAccount" "write serviceAccount.name"
  "serviceAccountName" "write serviceAccount.name"
  "securityContext" "write podSecurityContext"
  "terminationGracePeriodSeconds" "write lifecycle.terminationGracePeriodSeconds" -}}
{{- range $field := list "affinity" "imagePullSecrets" "initContainers" "nodeSelector" "priorityClassName" "tolerations" "topologySpreadConstraints" -}}
{{- $_ := set $own $field (printf "write %s, beside podSpec" $field) -}}
{{- end -}}
{{- include "sidestream.passedOn" (list .Values.podSpec "podSpec" $own) -}}
{{- end -}}
