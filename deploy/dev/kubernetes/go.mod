// What is downloaded and never built: modules that hold Kubernetes' schemas. Their contents are checked by go.sum.
module sidestream/kubernetes

go 1.21
