{{/* The ODA Component (oda.tmforum.org/v1), written from the component's facts and the values. */}}

{{/* Whether an API is exposed: (list $ api). Not what another system owns, nor what the values leave out. */}}
{{- define "tmf-component.exposed" -}}
{{- $root := index . 0 }}{{ $api := index . 1 -}}
{{- $set := index $root.Values.canvas.apis $api.name | default dict -}}
{{- $expose := true -}}
{{- if hasKey $set "expose" }}{{ $expose = $set.expose }}{{ end -}}
{{- if and $expose (not (hasKey $root.Values.elsewhere $api.id)) }}true{{ end -}}
{{- end }}

{{/* The versions of an API that are declared, as JSON: (list $ api). */}}
{{- define "tmf-component.versions" -}}
{{- $root := index . 0 }}{{ $api := index . 1 -}}
{{- $wanted := (index $root.Values.canvas.apis $api.name | default dict).versions | default list -}}
{{- $kept := dict -}}
{{- range $version, $full := $api.versions -}}
{{- if or (empty $wanted) (has $version $wanted) }}{{ $_ := set $kept $version $full }}{{ end -}}
{{- end -}}
{{- range $wanted -}}
{{- if not (hasKey $api.versions .) -}}
{{- fail (printf "canvas.apis.%s.versions: it is served in %s, not in %s." $api.name (keys $api.versions | sortAlpha | join ", ") .) -}}
{{- end -}}
{{- end -}}
{{- toJson $kept -}}
{{- end }}

{{/* Where the document of an API is: (list $ api version). */}}
{{- define "tmf-component.specification-url" -}}
{{- $root := index . 0 }}{{ $api := index . 1 }}{{ $version := index . 2 -}}
{{- $urls := (index $root.Values.canvas.apis $api.name | default dict).specificationUrls | default dict -}}
{{- $own := printf "%s%s/%s/%s/openapi.json" (include "tmf-component.address" $root) (include "tmf-component.base" $root) $api.path $version -}}
{{- index $urls $version | default $own -}}
{{- end }}

{{- define "tmf-component.gateway" -}}
{{- $gateway := .Values.canvas.gateway -}}
apiKeyVerification:
  enabled: {{ $gateway.apiKey.enabled }}
  location: {{ $gateway.apiKey.location | quote }}
rateLimit:
  enabled: {{ $gateway.rateLimit.enabled }}
  identifier: {{ $gateway.rateLimit.identifier | quote }}
  limit: {{ $gateway.rateLimit.limit | quote }}
  interval: {{ $gateway.rateLimit.interval | quote }}
quota:
  identifier: {{ $gateway.quota.identifier | quote }}
  limit: {{ $gateway.quota.limit | quote }}
OASValidation:
  requestEnabled: {{ $gateway.validation.request }}
  responseEnabled: {{ $gateway.validation.response }}
  allowUnspecifiedHeaders: true
  allowUnspecifiedQueryParams: true
  allowUnspecifiedCookies: true
CORS:
  enabled: {{ $gateway.cors.enabled }}
  allowCredentials: {{ $gateway.cors.allowCredentials }}
  allowOrigins: {{ $gateway.cors.allowOrigins | quote }}
  handlePreflightRequests:
    enabled: {{ $gateway.cors.preflight }}
    allowHeaders: {{ $gateway.cors.allowHeaders | quote }}
    allowMethods: {{ $gateway.cors.allowMethods | quote }}
    maxAge: {{ $gateway.cors.maxAge }}
template: {{ $gateway.template | quote }}
{{- end }}

{{/* One entry of exposedAPIs: (list $ api). v4 and v5 are two specifications of one API. */}}
{{- define "tmf-component.exposed-api" -}}
{{- $root := index . 0 }}{{ $api := index . 1 -}}
{{- $name := include "tmf-component.name" $root -}}
{{- $versions := include "tmf-component.versions" . | fromJson -}}
- name: {{ $api.topic }}
  id: {{ $api.id }}
  required: true
  gatewayConfiguration:
    {{- include "tmf-component.gateway" $root | nindent 4 }}
  specification:
    {{- range $version, $full := $versions }}
    - url: {{ include "tmf-component.specification-url" (list $root $api $version) | quote }}
      version: {{ $full | quote }}
      apiType: openapi
      implementation: {{ $name }}
      path: {{ include "tmf-component.base" $root }}/{{ $api.path }}/{{ $version }}
      developerUI: {{ include "tmf-component.base" $root }}/docs
      port: 8000
    {{- end }}
{{- end }}

{{- define "tmf-component.component" -}}
{{- if .Values.canvas.enabled }}
{{- $name := include "tmf-component.name" . -}}
{{- $facts := include "tmf-component.facts" . | fromJson -}}
{{- $core := list }}{{ $security := list -}}
{{- range $facts.apis -}}
{{- if include "tmf-component.exposed" (list $ .) -}}
{{- if .security }}{{ $security = append $security . }}{{ else }}{{ $core = append $core . }}{{ end -}}
{{- end -}}
{{- end -}}
apiVersion: oda.tmforum.org/v1
kind: Component
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
spec:
  componentMetadata:
    id: {{ $facts.id }}
    name: {{ .Chart.Name }}
    version: {{ .Chart.AppVersion | quote }}
    description: {{ .Chart.Description | quote }}
    functionalBlock: {{ $facts.functionalBlock }}
    publicationDate: {{ $facts.publicationDate }}
    status: specified
    eTom: []
    SID: []
    functionalFramework: []
    maintainers:
      {{- range .Chart.Maintainers }}
      - name: {{ .Name }}
        email: {{ .Email | default "" | quote }}
        url: {{ .URL | default "" | quote }}
      {{- end }}
    owners:
      {{- range .Chart.Maintainers }}
      - name: {{ .Name }}
        email: {{ .Email | default "" | quote }}
        url: {{ .URL | default "" | quote }}
      {{- end }}
  coreFunction:
    {{- if $core }}
    exposedAPIs:
      {{- range $core }}
      {{- include "tmf-component.exposed-api" (list $ .) | nindent 6 }}
      {{- end }}
    {{- else }}
    exposedAPIs: []
    {{- end }}
    {{- $wanted := list -}}
    {{- range $dependency, $set := .Values.dependencies -}}
    {{- if $set.canvas }}{{ $wanted = append $wanted $dependency }}{{ end -}}
    {{- end }}
    {{- if $wanted }}
    dependentAPIs:
      {{- range $wanted }}
      {{- $set := index $.Values.dependencies . }}
      - name: {{ . | lower }}
        id: {{ $set.id }}
        required: true
        specification:
          - url: {{ tpl $set.specificationUrl $ | quote }}
            version: {{ $set.version | quote }}
            apiType: openapi
      {{- end }}
    {{- else }}
    dependentAPIs: []
    {{- end }}
  eventNotification:
    publishedEvents:
      {{- range concat $core $security }}
      {{- $api := . }}
      - name: {{ .topic }}
        description: {{ printf "Events of %s, told to who registers at the hub" (ternary .name .id (eq .id "own")) | quote }}
        specification:
          {{- range $version, $full := include "tmf-component.versions" (list $ .) | fromJson }}
          - url: {{ include "tmf-component.specification-url" (list $ $api $version) | quote }}
            version: {{ $full | quote }}
            apiType: openapi
            implementation: {{ $name }}
            developerUI: {{ include "tmf-component.base" $ }}/docs
            hub: {{ include "tmf-component.base" $ }}/{{ $api.path }}/{{ $version }}/hub
            port: 8000
          {{- end }}
      {{- end }}
    {{- if $facts.follows }}
    subscribedEvents:
      {{- range $facts.follows }}
      - name: {{ .name | lower }}
        description: {{ printf "Events of %s, heard from %s" .resource .dependency | quote }}
        specification:
          - version: {{ .version | quote }}
            apiType: openapi
            implementation: {{ $name }}
            callback: {{ include "tmf-component.base" $ }}/listener/{{ .name }}
            port: 8000
            query: {{ printf "eventType=%s" (join "," .events) | quote }}
      {{- end }}
    {{- else }}
    subscribedEvents: []
    {{- end }}
  managementFunction:
    exposedAPIs:
      - name: metrics
        apiType: prometheus
        implementation: {{ $name }}
        path: {{ include "tmf-component.base" . }}/metrics
        port: 8000
        required: true
    dependentAPIs: []
  securityFunction:
    canvasSystemRole: {{ .Values.canvas.systemRole | quote }}
    {{- with .Values.canvas.componentRoles }}
    componentRole:
      {{- range . }}
      - name: {{ .name | quote }}
        description: {{ .description | default "" | quote }}
      {{- end }}
    {{- end }}
    {{- if $security }}
    exposedAPIs:
      {{- range $security }}
      {{- include "tmf-component.exposed-api" (list $ .) | nindent 6 }}
      {{- end }}
    {{- else }}
    exposedAPIs: []
    {{- end }}
    dependentAPIs: []
{{- end }}
{{- end }}

{{/* The same as resources of their own (decision 0022 of the Canvas): ExposedAPI, DependentAPI, IdentityConfig. */}}
{{- define "tmf-component.subresources" -}}
{{- if and .Values.canvas.enabled .Values.canvas.subresources }}
{{- $name := include "tmf-component.name" . -}}
{{- $facts := include "tmf-component.facts" . | fromJson -}}
{{- $roles := dict -}}
{{- range $api := $facts.apis }}
{{- if include "tmf-component.exposed" (list $ $api) }}
{{- range $version, $full := include "tmf-component.versions" (list $ $api) | fromJson }}
{{- $path := printf "%s/%s/%s" (include "tmf-component.base" $) $api.path $version -}}
{{- if $api.security }}{{ $_ := set $roles $api.topic $path }}{{ end }}
---
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata:
  {{- include "tmf-component.metadata" (dict "root" $ "name" (printf "%s-%s-%s" $name $api.topic $version)) | nindent 2 }}
spec:
  name: {{ $api.topic }}
  specification:
    url: {{ include "tmf-component.specification-url" (list $ $api $version) | quote }}
    version: {{ $full | quote }}
  apiType: openapi
  implementation: {{ $name }}
  path: {{ $path }}
  developerUI: {{ include "tmf-component.base" $ }}/docs
  port: 8000
  {{- include "tmf-component.gateway" $ | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
---
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" (printf "%s-metrics" $name)) | nindent 2 }}
spec:
  name: metrics
  apiType: prometheus
  implementation: {{ $name }}
  path: {{ include "tmf-component.base" . }}/metrics
  port: 8000
{{- range $dependency, $set := .Values.dependencies }}
{{- if $set.canvas }}
---
apiVersion: oda.tmforum.org/v1
kind: DependentAPI
metadata:
  {{- include "tmf-component.metadata" (dict "root" $ "name" (printf "%s-%s" $name (lower $dependency))) | nindent 2 }}
spec:
  name: {{ $dependency | lower }}
  apiType: openapi
  specification:
    url: {{ tpl $set.specificationUrl $ | quote }}
{{- end }}
{{- end }}
---
apiVersion: oda.tmforum.org/v1
kind: IdentityConfig
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
spec:
  canvasSystemRole: {{ .Values.canvas.systemRole | quote }}
  {{- with .Values.canvas.componentRoles }}
  componentRole:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $roles.partyrole }}
  partyRoleAPI:
    implementation: {{ $name }}
    path: {{ . }}
    port: 8000
  {{- end }}
  {{- with $roles.userrolesandpermissions }}
  permissionSpecificationSetAPI:
    implementation: {{ $name }}
    path: {{ . }}
    port: 8000
  {{- end }}
{{- end }}
{{- end }}
