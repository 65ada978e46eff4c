{{- define "vedette.labels" -}}
app.kubernetes.io/name: vedette
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "vedette.selector" -}}
app.kubernetes.io/name: vedette
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "vedette.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* The name of everything of one component. */ -}}
{{- define "vedette.name" -}}
{{ printf "%s-%s" (.root.Release.Name | trunc 50 | trimSuffix "-") .component }}
{{- end }}

{{- /* Where sensors of this cluster find a collector; empty: where their enrolment says. */ -}}
{{- define "vedette.collectors" -}}
{{- if .Values.sensor.collectors -}}
{{ join "," .Values.sensor.collectors }}
{{- else if .Values.collector.enabled -}}
{{ include "vedette.name" (dict "root" . "component" "collector") }}.{{ .Release.Namespace }}.svc:{{ .Values.collector.service.port }}
{{- end -}}
{{- end }}

{{- /* Settings as a TOML file: JSON's values of these kinds are TOML's. */ -}}
{{- define "vedette.toml" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}{{ else if kindIs "map" $value }}{ {{- range $i, $name := keys $value | sortAlpha }}{{ if $i }}, {{ end }}{{ $name }} = {{ get $value $name | toJson }}{{ end -}} }{{ else }}{{ $value | toJson }}{{ end }}
{{- end }}
{{- end }}
