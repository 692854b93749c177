{{/* Where pods may run. */}}
{{- define "sidestream.placement" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $.Values $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $selector := dict "matchLabels" (include "sidestream.selectorLabels" $ | fromYaml) }}
  {{- range . }}
  {{- /* By revision, or pods of a rollout that are about to go would count. */}}
  - {{ merge (deepCopy .) (dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash")) | toYaml | indent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}
