{{- define "skerry.labels" -}}
app.kubernetes.io/name: skerry
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "skerry.selector" -}}
app.kubernetes.io/name: skerry
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "skerry.image" -}}
{{- $image := .Values.images.skerry | default (printf "skerry:%s" .Chart.AppVersion) -}}
{{- with .Values.global.registry }}{{ . }}/{{ end }}{{ $image }}
{{- end }}

{{- define "skerry.store" -}}skerry-apiserver-{{ (index .Values.stores 0).name }}{{- end }}

{{/* The name that the serving certificate has, and that manager and syncer dial. */}}
{{- define "skerry.inner" -}}{{ include "skerry.store" . }}.{{ .Release.Namespace }}.svc{{- end }}

{{/* The name at which the API server dials the syncer. */}}
{{- define "skerry.link" -}}skerry-syncer.{{ .Release.Namespace }}.svc{{- end }}

{{/* Host of apiServer.url, and whether it is an address: then clients check the certificate for the name inside. */}}
{{- define "skerry.host" -}}
{{- regexReplaceAll ":[0-9]+$" (.Values.apiServer.url | trimPrefix "https://") "" | trimPrefix "[" | trimSuffix "]" -}}
{{- end }}

{{- define "skerry.byAddress" -}}
{{- $host := include "skerry.host" . -}}
{{- if or (contains ":" $host) (regexMatch "^[0-9.]+$" $host) }}true{{ end -}}
{{- end }}

{{- define "skerry.frontDoor" -}}
{{- .Values.apiServer.url | default (printf "https://%s:%v" (include "skerry.inner" .) .Values.apiServer.port) -}}
{{- end }}

{{/* Tenancy I15: no privilege, a read-only root, stated requests. */}}
{{- define "skerry.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "skerry.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "skerry.logging" -}}
- --log-level={{ .Values.logging.level }}
- --log-format={{ .Values.logging.format }}
{{- end }}
