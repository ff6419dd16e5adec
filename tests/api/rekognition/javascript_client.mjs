// What an unmodified AWS SDK for JavaScript 3 does against the endpoint; prints one JSON document.
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import * as R from "@aws-sdk/client-rekognition";
import * as S from "@aws-sdk/client-s3";

const [picture, bucket] = process.argv.slice(2);
const options = { region: "eu-west-1" };
const rekognition = new R.RekognitionClient(options);
const s3 = new S.S3Client({ ...options, forcePathStyle: true });
const said = {};

await s3.send(new S.CreateBucketCommand({ Bucket: bucket }));
await s3.send(new S.PutObjectCommand({ Bucket: bucket, Key: "a b/ü.jpg", Body: readFileSync(picture) }));
const stream = Readable.from([Buffer.from("one "), Buffer.from("two")]);
await s3.send(new S.PutObjectCommand({ Bucket: bucket, Key: "stream.txt", Body: stream, ContentLength: 7 }));
const got = await s3.send(new S.GetObjectCommand({ Bucket: bucket, Key: "stream.txt" }));
said.stream = await got.Body.transformToString();
said.keys = (await s3.send(new S.ListObjectsV2Command({ Bucket: bucket }))).Contents.map((one) => one.Key);

await rekognition.send(new R.CreateCollectionCommand({ CollectionId: bucket }));
const Image = { S3Object: { Bucket: bucket, Name: "a b/ü.jpg" } };
const indexed = await rekognition.send(
  new R.IndexFacesCommand({ CollectionId: bucket, Image, ExternalImageId: "first", MaxFaces: 1 }),
);
const found = await rekognition.send(new R.SearchFacesByImageCommand({ CollectionId: bucket, Image }));
said.same = found.FaceMatches[0].Face.FaceId === indexed.FaceRecords[0].Face.FaceId;
said.created = (await rekognition.send(new R.DescribeCollectionCommand({ CollectionId: bucket }))).CreationTimestamp;
for (const [name, command] of [
  ["none", new R.CreateFaceLivenessSessionCommand({})],
  ["broken", new R.ListFacesCommand({ CollectionId: "a b" })],
  ["absent", new R.DescribeCollectionCommand({ CollectionId: "nothing" })],
]) {
  try {
    await rekognition.send(command);
  } catch (error) {
    said[name] = [error.name, error.$metadata.httpStatusCode, error.$metadata.attempts];
  }
}
await rekognition.send(new R.DeleteCollectionCommand({ CollectionId: bucket }));
const Objects = said.keys.map((Key) => ({ Key }));
await s3.send(new S.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
await s3.send(new S.DeleteBucketCommand({ Bucket: bucket }));
console.log(JSON.stringify(said));
